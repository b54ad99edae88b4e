// Tells the shop that its messages were read, once this page is really on the buyer's screen:
// not while it is fetched ahead, drawn ahead, or open in a tab behind.
(() => {
  const form = document.querySelector("form[data-read-receipt]");
  if (!form) return;
  let told = false;
  const tell = () => {
    if (told || document.visibilityState !== "visible" || document.prerendering) return;
    told = true;
    fetch(form.action, { method: "POST", body: new FormData(form), keepalive: true })
      .then((answer) => { told = answer.ok; })
      .catch(() => { told = false; });
  };
  document.addEventListener("visibilitychange", tell);
  document.addEventListener("prerenderingchange", tell);
  tell();
})();
