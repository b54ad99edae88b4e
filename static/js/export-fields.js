// The admin's export page: one box chooses or drops all columns.
(() => {
  const all = document.getElementById("select-all-toggle");
  const boxes = () => document.querySelectorAll('.selectable-field-export-row input[type="checkbox"]');
  all?.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
})();
