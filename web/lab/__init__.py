"""The lab: built-in receivers for trying out channels, with selectable responses."""
