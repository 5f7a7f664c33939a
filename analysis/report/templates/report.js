"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const first = head.firstElementChild.dataset.first, now = head.getAttribute("aria-sort");
    const order = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
    heads.forEach(other => other.setAttribute("aria-sort", other === head ? order : "none"));
    const key = row => row.cells[column].dataset.key, sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", {numeric: true}) : a - b;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * compare(x, y);
    });
    body.append(...rows);
  }));
}
for (const button of document.querySelectorAll("button.more")) {
  button.addEventListener("click", () => {
    const all = button.nextElementSibling.querySelector("table").classList.toggle("all");
    button.setAttribute("aria-pressed", String(all));
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {  // a page of a file may not: then it is selected, to be copied with the keyboard
      getSelection().selectAllChildren(code);
    }
  });
}
const open = () => {
  const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part instanceof HTMLDetailsElement) part.open = true;
};
addEventListener("hashchange", open);
open();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
