// The admin's form of a periodic task: says in words what the chosen crontab means.
(() => {
  const data = document.getElementById("readable-crontabs");
  const select = document.getElementById("id_crontab");
  if (!data || !select) return;
  const words = JSON.parse(data.textContent);
  const said = document.createElement("div");
  said.className = "help";
  said.setAttribute("aria-live", "polite");
  select.closest(".form-row")?.append(said);
  document.querySelector(".field-crontab_translation")?.remove();
  const say = () => { said.textContent = words[select.value] ? `In words: ${words[select.value]}` : ""; };
  select.addEventListener("change", say);
  say();
})();
