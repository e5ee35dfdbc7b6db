// Behavior that HTML cannot express. Every form works without this file.
"use strict";

// A field is invalid while its message is not empty. htmx swaps the message, never the input.
const markField = (message) => {
  const field = document.getElementById(message.id.replace(/-error$/, ""));
  if (!field || !field.matches("input, select, textarea")) return;
  if (message.textContent.trim()) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
};
new MutationObserver((changes) => {
  for (const change of changes) {
    const node = change.target.nodeType === Node.TEXT_NODE ? change.target.parentElement : change.target;
    const message = node && node.closest(".error");
    if (message) markField(message);
    // A removed header row loses the focus: move it to the button below the rows.
    const rowRemoved = change.target.id === "header-rows" && change.removedNodes.length > 0;
    if (rowRemoved && document.activeElement === document.body) document.getElementById("add-header").focus();
  }
}).observe(document.body, { childList: true, characterData: true, subtree: true });

// htmx shows nothing when the server cannot be reached.
const notice = document.getElementById("notice");
const showNotice = (text) => {
  const line = document.createElement("p");
  line.className = "notice bad";
  line.textContent = text;
  notice.replaceChildren(line);
};
document.addEventListener("htmx:error", (event) => {
  const slow = event.detail && event.detail.error && /time/i.test(String(event.detail.error.name));
  const kept = document.getElementById("channel-form") ? " Your changes are still here." : "";
  showNotice(slow ? `Tocsin did not respond in time.${kept}`
                  : `This browser cannot reach Tocsin.${kept} Try again in a moment.`);
});

// The server writes times in UTC: show them in the zone of the viewer, with UTC in the title. What is sent, and what
// a receiver answered, stays as it is.
const utc = /\b(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?) UTC\b/;
const asIs = "pre, code, textarea, option, svg, time, .drawing, [data-utc]";
const inZone = (time, hasSeconds) => {
  const parts = { dateStyle: "short", timeStyle: hasSeconds ? "medium" : "short" };
  return time.toLocaleString("sv", parts);  // as 2026-03-02 09:15:07
};
const localize = (root) => {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (utc.test(node.data) && !node.parentElement.closest(asIs)) found.push(node);
  }
  for (let node of found) {
    for (let match = utc.exec(node.data); match; match = utc.exec(node.data)) {
      const rest = node.splitText(match.index);
      node = rest.splitText(match[0].length);
      const time = document.createElement("time");
      time.dateTime = `${match[1]}T${match[2]}Z`;
      time.title = match[0];
      time.textContent = inZone(new Date(time.dateTime), match[2].length > 5);
      rest.replaceWith(time);
    }
  }
};
localize(document.getElementById("main"));

document.addEventListener("htmx:after:swap", (event) => {
  localize(document.getElementById("main"));
  const target = event.detail && event.detail.ctx && event.detail.ctx.target;  // a selector if the response named it
  if (target && (target.id === "test-result" || target.id === "preview")) {
    const section = document.getElementById(target.id);
    if (document.activeElement.id !== "body") section.scrollIntoView({ block: "nearest" });
    notice.querySelectorAll(".bad").forEach((old) => old.remove());  // an earlier failure is outdated now
  }
  // A check that was under way while the name of a header changed brings the note on the old name.
  document.querySelectorAll(".note [data-of]").forEach((note) => {
    const name = document.getElementById(note.parentElement.id.replace(/-note$/, ""));
    if (name.value.trim().toLowerCase() !== note.dataset.of) note.remove();
  });
  if (target && target.id === "header-rows") target.querySelector(".row:last-child input").focus();
});

// A page that nobody looks at asks for nothing new, nor one whose session has ended.
document.addEventListener("htmx:before:request", (event) => {
  if (document.hidden && event.target.matches && event.target.matches("[data-poll]")) event.preventDefault();
});
document.addEventListener("htmx:finally:request", (event) => {
  const response = event.detail && event.detail.ctx && event.detail.ctx.response;
  if (response && response.status >= 400 && event.target.matches && event.target.matches("[data-poll]")) event.target.remove();
});

// A button loses the focus while it is disabled: give it back for keyboard users.
document.addEventListener("htmx:finally:request", (event) => {
  const button = event.target;
  if (!button.matches || !button.matches("button[hx-disable]")) return;
  queueMicrotask(() => { if (document.activeElement === document.body) button.focus({ preventScroll: true }); });
});

// The boxes of the list follow the one that selects all. The server does not need this: it reads both.
document.addEventListener("change", ({ target }) => {
  const isAll = target.name === "all";
  if (!isAll && (target.name !== "channel" || target.checked)) return;
  for (const box of document.querySelectorAll("#channels :is([name=channel], [name=all])")) {
    if (isAll && box.name === "channel") box.checked = target.checked;
    else if (box !== target && box.name === "all") box.checked = false;
  }
});

// A value that is shown only once is selected, and copied where the browser allows it.
for (const copy of document.querySelectorAll("button[data-copy]")) {
  const input = document.getElementById(copy.dataset.copy);
  input.addEventListener("focus", () => input.select());
  if (document.activeElement === input) input.select();
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(input.value).then(() => { copy.textContent = "Copied"; }, () => input.focus());
  });
}

const form = document.getElementById("channel-form");
if (form) {
  // Each kind has its own help text; the page was drawn with that of one kind.
  const kind = document.getElementById("kind");
  kind.addEventListener("change", () => {
    const chosen = kind.selectedOptions[0].dataset;
    document.getElementById("kind-help").textContent = chosen.help || "";
    document.getElementById("url-help").textContent = chosen.urlHelp || "";
  });

  // With htmx the fields of another kind load when it is chosen; without it a button loads the page.
  const useKind = document.getElementById("use-kind");
  window.addEventListener("load", () => { useKind.hidden = Boolean(window.htmx); });

  // Insert a name as if it were typed, so that Ctrl+Z undoes it.
  const body = document.getElementById("body");
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-insert]");
    if (!button) return;
    body.focus();
    document.execCommand("insertText", false, button.dataset.insert);
  });

  // The hints belong to the previous value: remove them while the field changes.
  form.addEventListener("input", (event) => {
    const hints = document.getElementById(`${event.target.name}-note`) || document.getElementById("url-note");
    if (hints) hints.replaceChildren();
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

  // Ask before the page is left with unsaved changes.
  let typed = false;
  form.addEventListener("input", () => { typed = true; });
  window.addEventListener("beforeunload", (event) => {
    if (typed && !sent && navigator.userActivation && navigator.userActivation.hasBeenActive) event.preventDefault();
  });
}
