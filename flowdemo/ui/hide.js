// For a lesson: ?hide=solver,seed,tab-compare takes these parts off the page, by the ids of style and tests.
() => {
  const asked = (new URLSearchParams(window.location.search).get("hide") || "").split(",");
  const ids = asked.filter((id) => /^[a-z][a-z0-9-]*$/.test(id));
  const style = document.createElement("style");
  style.textContent = ids.map((id) => `#${id}, #${id}-button { display: none !important; }`).join("\n");
  document.head.append(style);
  // The links of the page stay those of the lesson.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".fd-link a");
    if (!link || !ids.length) return;
    const address = new URL(link.href);
    address.searchParams.set("hide", ids.join(","));
    link.href = address;
  }, true);
}
