// Toggles, the place in the contents, and tables that can be sorted and filtered. The page is whole
// without them.
(() => {
  "use strict";
  const each = (selector, within, act) => within.querySelectorAll(selector).forEach(act);

  // A box hides what is marked with its value: data-arm, data-task or data-metric.
  each("#shown, fieldset[data-kind]", document, (element) => { element.hidden = false; });
  each("fieldset[data-kind]", document, (fieldset) => {
    const kind = fieldset.dataset.kind;
    fieldset.addEventListener("change", ({ target }) => {
      each(`[data-${kind}="${CSS.escape(target.value)}"]`, document, (element) => {
        element.classList.toggle(`off-${kind}`, !target.checked);
      });
    });
  });

  const links = new Map();
  each("nav a", document, (link) => links.set(link.hash.slice(1), link));
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.removeAttribute("aria-current"));
      const link = links.get(entry.target.id);
      if (link) link.setAttribute("aria-current", "true");
    });
  }, { rootMargin: "0px 0px -75% 0px" });
  each("main section", document, (section) => watcher.observe(section));

  // "< 1%" sorts before "1%", "> 99%" after "99%"; what is no number is last in either order.
  const valueOf = (row, column) => {
    const text = row.cells[column] ? row.cells[column].textContent.trim() : "";
    const plain = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "")
      .replace(/^fewer than /, "<");
    const [, sign, rest] = plain.match(/^([<>]?)\s*(.*)$/s);
    const number = Number.parseFloat(rest);
    const side = { "<": -1, ">": 1 }[sign] || 0;
    return { text, number, side, isNumber: !Number.isNaN(number) };
  };

  const sort = (table, column, falling) => {
    each("tbody", table, (body) => {
      const heads = [...body.rows].filter((row) => row.querySelector(".group"));
      const rows = [...body.rows].filter((row) => !row.querySelector(".group"));
      const numeric = rows.some((row) => valueOf(row, column).isNumber);
      rows.sort((one, other) => {
        const [a, b] = [valueOf(one, column), valueOf(other, column)];
        if (numeric && !(a.isNumber && b.isNumber)) return b.isNumber - a.isNumber;
        const order = numeric
          ? a.number - b.number || a.side - b.side : a.text.localeCompare(b.text);
        return falling ? -order : order;
      });
      body.append(...heads, ...rows);
    });
  };

  const filter = (table, wanted) => {
    each("tbody", table, (body) => {
      const head = body.querySelector(".group");
      const rows = [...body.rows].filter((row) => !row.querySelector(".group"));
      const all = head && head.textContent.toLowerCase().includes(wanted);
      rows.forEach((row) => { row.hidden = !(all || row.textContent.toLowerCase().includes(wanted)); });
      if (head && rows.length) head.parentElement.hidden = rows.every((row) => row.hidden);
    });
  };

  each("table", document, (table) => {
    const head = table.tHead && table.tHead.rows[0];
    if (!head || table.tBodies.length === 0 || table.rows.length < 4) return;
    [...head.cells].filter((cell) => cell.textContent.trim()).forEach((cell) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const falling = cell.getAttribute("aria-sort") === "ascending";
        [...head.cells].forEach((other) => other.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
        sort(table, cell.cellIndex, falling);
      });
    });
    if (table.rows.length < 14) return;
    const input = document.createElement("input");
    input.type = "search";
    input.placeholder = "Filter rows";
    const caption = document.getElementById(table.getAttribute("aria-labelledby"));
    input.setAttribute("aria-label", `Filter rows: ${caption ? caption.textContent.slice(0, 60) : "table"}`);
    input.addEventListener("input", () => filter(table, input.value.toLowerCase()));
    (table.closest(".scroll") || table).before(input);
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
})();
