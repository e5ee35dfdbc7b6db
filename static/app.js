// Only what HTML cannot do. Without this file every form still works.
"use strict";

// A field is invalid while its message says something. The message is swapped, the input never is.
const mark = (message) => {
  const field = document.getElementById(message.id.replace(/-error$/, ""));
  if (!field || !field.matches("input, select, textarea")) return;
  if (message.textContent.trim()) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
};
new MutationObserver((changes) => {
  for (const change of changes) {
    const node = change.target.nodeType === Node.TEXT_NODE ? change.target.parentElement : change.target;
    const message = node && node.closest(".error");
    if (message) mark(message);
    // A removed header row takes the focus with it; the keyboard goes on at the button below the rows.
    const rowWent = change.target.id === "header-rows" && change.removedNodes.length > 0;
    if (rowWent && document.activeElement === document.body) document.getElementById("add-header").focus();
  }
}).observe(document.body, { childList: true, characterData: true, subtree: true });

// htmx says nothing when the server cannot be reached.
const notice = document.getElementById("notice");
const say = (words) => {
  const line = document.createElement("p");
  line.className = "notice bad";
  line.textContent = words;
  notice.replaceChildren(line);
};
document.addEventListener("htmx:error", (event) => {
  const slow = event.detail && event.detail.error && /time/i.test(String(event.detail.error.name));
  say(slow ? "Tocsin has not answered in time. What you typed is still here."
           : "Tocsin cannot be reached from this browser just now. What you typed is still here; try again in a moment.");
});

document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail && event.detail.ctx && event.detail.ctx.target;  // a selector when the answer named it
  if (target && (target.id === "test-result" || target.id === "preview")) {
    const shown = document.getElementById(target.id);
    if (document.activeElement.id !== "body") shown.scrollIntoView({ block: "nearest" });
    notice.querySelectorAll(".bad").forEach((old) => old.remove());  // what could not be done before was done now
  }
  if (target && target.id === "header-rows") target.querySelector(".row:last-child input").focus();
});

// A button that is disabled while it waits loses the focus; whoever works with the keyboard gets it back.
document.addEventListener("htmx:finally:request", (event) => {
  const button = event.target;
  if (!button.matches || !button.matches("button[hx-disable]")) return;
  queueMicrotask(() => { if (document.activeElement === document.body) button.focus({ preventScroll: true }); });
});

// What is shown only once is selected as a whole, and copied where the browser lets a page do so.
for (const copy of document.querySelectorAll("button[data-copy]")) {
  const shown = document.getElementById(copy.dataset.copy);
  shown.addEventListener("focus", () => shown.select());
  if (document.activeElement === shown) shown.select();
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(shown.value).then(() => { copy.textContent = "Copied"; }, () => shown.focus());
  });
}

const form = document.getElementById("channel-form");
if (form) {
  // Each kind has its own help; without this the page shows that of the kind it was drawn with.
  const kind = document.getElementById("kind");
  kind.addEventListener("change", () => {
    const chosen = kind.selectedOptions[0].dataset;
    document.getElementById("kind-help").textContent = chosen.help || "";
    document.getElementById("url-help").textContent = chosen.urlHelp || "";
  });

  // Without htmx the fields of another kind come with a whole page; with it they come by themselves.
  const useKind = document.getElementById("use-kind");
  window.addEventListener("load", () => { useKind.hidden = Boolean(window.htmx); });

  // A name is typed in as a person would, so that Ctrl+Z takes it back.
  const body = document.getElementById("body");
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-insert]");
    if (!button) return;
    body.focus();
    document.execCommand("insertText", false, button.dataset.insert);
  });

  // Advice is of what stood in the field; what is typed now gets its own.
  form.addEventListener("input", (event) => {
    const note = document.getElementById(`${event.target.name}-note`) || document.getElementById("url-note");
    if (note) note.replaceChildren();
  });

  // A second click on Save must not save twice.
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (sent) event.preventDefault();
    sent = true;
    setTimeout(() => { sent = false; }, 3000);
  });
  window.addEventListener("pageshow", () => { sent = false; });

  // Leaving with something typed and not saved is asked about once.
  let typed = false;
  form.addEventListener("input", () => { typed = true; });
  window.addEventListener("beforeunload", (event) => {
    if (typed && !sent && navigator.userActivation && navigator.userActivation.hasBeenActive) event.preventDefault();
  });
}
