"use strict";
// Tables of classes: sort by a heading, search in the first column.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const texts = rows.map((row) => row.cells[0].textContent);
  const original = new Map(rows.map((row, at) => [row, at]));

  const key = (row, column, kind) => {
    const text = row.cells[column].textContent;
    return kind === "number" ? Number(text) : text;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const first = head.dataset.sort === "number" ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const keys = new Map(rows.map((row) => [row, key(row, column, head.dataset.sort)]));
      rows.sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || original.get(a) - original.get(b));
      body.append(...rows);
    });
  });

  const box = table.closest(".scroll").parentElement;
  const search = box.querySelector("[data-search]");
  const shown = box.querySelector("[data-shown]");
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    let count = 0;
    for (const [row, at] of original) {
      row.hidden = !texts[at].toLowerCase().includes(wanted);
      count += !row.hidden;
    }
    shown.textContent = wanted ? `${count} of ${rows.length} classes` : `${rows.length} classes`;
  });
}
