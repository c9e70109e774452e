// Toggles for arms, and tables that can be sorted and filtered. The page is whole without them.
(() => {
  "use strict";
  const each = (selector, within, act) => within.querySelectorAll(selector).forEach(act);

  const toggles = document.getElementById("arms");
  if (toggles) {
    toggles.hidden = false;
    toggles.addEventListener("change", (event) => {
      each(`[data-arm="${event.target.value}"]`, document, (element) => {
        element.style.display = event.target.checked ? "" : "none";
      });
    });
  }

  const valueOf = (row, column) => {
    const text = row.cells[column] ? row.cells[column].textContent.trim() : "";
    const plain = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "");
    const number = Number.parseFloat(plain);
    return { text, number: Number.isNaN(number) ? -Infinity : number, isNumber: !Number.isNaN(number) };
  };

  const sort = (table, column, falling) => {
    each("tbody", table, (body) => {
      const heads = [...body.rows].filter((row) => row.querySelector(".group"));
      const rows = [...body.rows].filter((row) => !row.querySelector(".group"));
      const numeric = rows.some((row) => valueOf(row, column).isNumber);
      rows.sort((one, other) => {
        const [a, b] = [valueOf(one, column), valueOf(other, column)];
        const order = numeric ? a.number - b.number : a.text.localeCompare(b.text);
        return falling ? -order : order;
      });
      body.append(...heads, ...rows);
    });
  };

  each("table", document, (table) => {
    const head = table.tHead && table.tHead.rows[0];
    if (!head || table.tBodies.length === 0 || table.rows.length < 4) return;
    [...head.cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const falling = cell.getAttribute("aria-sort") === "ascending";
        [...head.cells].forEach((other) => other.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
        sort(table, column, falling);
      });
    });
    if (table.rows.length < 14) return;
    const input = document.createElement("input");
    input.type = "search";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", `Filter rows: ${table.caption ? table.caption.textContent.slice(0, 60) : "table"}`);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      each("tbody tr", table, (row) => {
        const shown = row.querySelector(".group") || row.textContent.toLowerCase().includes(wanted);
        row.hidden = !shown;
      });
    });
    (table.closest(".scroll") || table).before(input);
  });

  addEventListener("beforeprint", () => each("details", document, (one) => { one.open = true; }));
})();
