// What the status lines say is read out to those who do not see it.
() => {
  const mark = () => document.querySelectorAll(".block.fd-status:not([role])").forEach((line) => line.setAttribute("role", "status"));
  new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
  mark();
}
