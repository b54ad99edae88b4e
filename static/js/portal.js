// The portal's own behaviour. Pages work without it, but for what needs htmx.

// A toast or an alert is closed by its button.
document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest(closer.dataset.close)?.remove();
});

// The phone's menu closes on Escape and on a click beside it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll(".topbar details[open]").forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});
document.addEventListener("click", (event) => {
  document.querySelectorAll(".topbar details[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});

// A text field with data-count-into="#id" and data-most="500" shows how many characters are left, or too many. They are
// counted as the server counts: maxlength would count an emoji as two, and cut what is pasted.
const countLeft = (field) => {
  const target = document.querySelector(field.dataset.countInto);
  if (!target) return;
  const most = Number(field.dataset.most), left = most - [...field.value].length;
  target.classList.toggle("over", left < 0);
  target.textContent = left < 0
    ? `${(-left).toLocaleString("en")} character${left === -1 ? "" : "s"} too many: ${most.toLocaleString("en")} at most`
    : `${left.toLocaleString("en")} of ${most.toLocaleString("en")} characters left`;
};
const countAll = () => document.querySelectorAll("[data-count-into]").forEach(countLeft);
document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-count-into]")) countLeft(event.target);
});

// A field's error goes when the field is edited, for it speaks of what stood there before; so a screen reader
// no longer calls the field invalid. A button with data-edits="id_field" edits a field that is hidden.
const clearError = (id) => {
  const field = document.getElementById(id);
  const error = `${id}_error`;
  if (field) {
    const others = (field.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((each) => each && each !== error);
    field.classList.remove("is-invalid");
    field.removeAttribute("aria-invalid");
    if (others.length) field.setAttribute("aria-describedby", others.join(" "));
    else field.removeAttribute("aria-describedby");
  }
  document.querySelectorAll(`.field-error[id="${error}"]`).forEach((each) => each.remove());
};
document.addEventListener("input", (event) => {
  if (event.target.matches?.("[aria-invalid=true][id]")) clearError(event.target.id);
});
document.addEventListener("click", (event) => {
  const editor = event.target.closest?.("[data-edits]");
  if (editor) clearError(editor.dataset.edits);
});

// Ctrl+Enter or Cmd+Enter in a message field sends it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea[data-submit-keys]")) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// A chat shows its newest message, and keeps showing it unless you have scrolled up to read.
const logs = () => document.querySelectorAll("[data-keep-at-end]");
const toEnd = (log) => { log.scrollTop = log.scrollHeight; };
const wasAtEnd = new WeakMap();
document.addEventListener("htmx:beforeSwap", () => {
  logs().forEach((log) => wasAtEnd.set(log, log.scrollHeight - log.scrollTop - log.clientHeight < 80));
});
document.addEventListener("htmx:afterSettle", () => {
  logs().forEach((log) => { if (wasAtEnd.get(log) !== false) toEnd(log); });
});

// What had the focus may be gone after a swap: then the field named by data-focus-else gets it.
document.addEventListener("htmx:afterSettle", (event) => {
  const field = event.target.dataset?.focusElse;
  if (field && document.activeElement === document.body) document.querySelector(field)?.focus();
});

// A form that htmx sent empties itself when it was accepted.
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form[data-reset-after]");
  if (form && event.detail.successful && event.detail.elt === form) {
    form.reset();
    form.querySelectorAll("[data-count-into]").forEach(countLeft);
  }
});

// When the server cannot be reached, pages that refresh themselves say so.
const setOffline = (offline) => document.body.classList.toggle("is-offline", offline);
document.addEventListener("htmx:sendError", () => setOffline(true));
document.addEventListener("htmx:afterOnLoad", () => setOffline(false));

document.addEventListener("DOMContentLoaded", () => {
  logs().forEach(toEnd);
  countAll();
});
document.addEventListener("htmx:afterSettle", countAll);

// A button with data-insert="{buyer}" data-into="#field" writes that where the caret stands.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  const field = button && document.querySelector(button.dataset.into);
  if (!field) return;
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// A form with data-send-once is sent by the first click only. Coming back finds it ready, and empty: filled in again by
// the browser, what was sent would be sent a second time.
const sent = new WeakSet();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-send-once]") || event.defaultPrevented) return;
  if (sent.has(form)) event.preventDefault();
  sent.add(form);
  form.setAttribute("aria-busy", "true");
  form.setAttribute("autocomplete", "off");
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-send-once]").forEach((form) => {
    sent.delete(form);
    form.removeAttribute("aria-busy");
    form.removeAttribute("autocomplete");
  });
});
