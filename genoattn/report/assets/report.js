// Adds figures and tables to the page. All text of the report enters as text nodes, never as markup.
"use strict";

const REPORT = JSON.parse(document.getElementById("report-data").textContent);
const STEP = 30; // rows of a table that are in the page at first; "more" doubles them, by a hundred at least
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f94"];
// Letters of a label at an axis; a longer one would leave no room for the data.
const LONGEST_LABEL = innerWidth < 600 ? 18 : 32;
const LONGEST_TITLE = Math.min(80, Math.round(innerWidth / 9)); // and of a title of an axis
const FEW = 10; // rows that need no search
const SHORT = 24; // letters that a cell of a table keeps on one line
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children); // strings become text nodes
  return element;
}

// A sentence: 1.9e-17 and 95 % stay on one line, words from right to left leave the order of the others alone.
function sentenceParts(text) {
  const parts = text.split(/(\d[\d.]*(?:e-\d+| %)|\S*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]\S*)/);
  const special = (part) => make("bdi", { class: /^\d/.test(part) ? "unbroken" : null }, part);
  return parts.map((part, number) => (number % 2 ? special(part) : part));
}

function definitions(facts) {
  return make("dl", {}, ...facts.flatMap(([name, value]) => [
    make("dt", {}, name), make("dd", { dir: "auto" }, ...sentenceParts(value))]));
}

function save(file, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values;charset=utf-8" }));
  make("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// ---- Figures -----------------------------------------------------------------------------------------

// Plotly reads some HTML in every text, so "<" and "&" become entities, which it shows as the letters.
// A line break of the report ("\n", or <br> in a template) stays one.
function literalText(text, isTemplate) {
  let safe = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  if (isTemplate) {
    safe = safe.replaceAll("&lt;br&gt;", "<br>").replaceAll("&lt;extra&gt;&lt;/extra&gt;", "<extra></extra>");
  } else if (RIGHT_TO_LEFT.test(text)) {
    safe = `\u2068${safe}\u2069`;
  }
  return safe.replaceAll("\n", "<br>");
}

function literal(value, key = "") {
  if (key === "title" && value) {
    const title = typeof value === "string" ? { text: value } : value;
    return { ...literal(title), text: literalText(shortened(title.text ?? "", LONGEST_TITLE)) };
  }
  if (typeof value === "string") return literalText(value, key.endsWith("template"));
  if (Array.isArray(value)) return value.map((entry) => literal(entry, key));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, literal(entry, name)]));
}

function shortened(text, letters = LONGEST_LABEL) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

// Traces for Plotly; a long name would fill the legend.
function tracesOf(figure) {
  return figure.data.map((trace) => literal(trace.name ? { ...trace, name: shortened(trace.name) } : trace));
}

// What the values along "x" or "y" ask of their axes. Names stay names, also those that look like a number
// or a date; long ones get a short label.
function axisOf(data, letter) {
  const values = data.flatMap((trace) => trace[letter] ?? []);
  const names = [...new Set(values)].filter((name) => typeof name === "string");
  const long = names.filter((name) => name.length > LONGEST_LABEL);
  const labelalias = Object.fromEntries(long.map((name) => [literal(name), literal(shortened(name))]));
  return { labelalias, ...(names.length && values.every((value) => typeof value === "string") && { type: "category" }) };
}

// A colour of the style sheet, as the page shows it or as a scheme ("light") would.
function colour(name, scheme) {
  const probe = document.getElementById("probe");
  probe.style.colorScheme = scheme;
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function layoutOf(figure, scheme = "") {
  const [ink, paper, line] = ["--ink", "--paper", "--line"].map((name) => colour(name, scheme));
  const layout = literal(figure.layout);
  const axis = { automargin: true, gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line };
  const keys = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  for (const key of new Set(["xaxis", "yaxis", ...keys])) {
    const given = layout[key] ?? {};
    const ticktext = figure.layout[key]?.ticktext?.map((text) => literal(shortened(String(text))));
    layout[key] = { ...axis, ...axisOf(figure.data, key[0]), ...given, ...(ticktext && { ticktext }) };
  }
  return {
    height: 420,
    colorway: PALETTE,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
    ...layout,
    margin: { l: 56, r: 16, t: 32, b: 48, ...layout.margin },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, ...layout.font, color: ink },
    paper_bgcolor: scheme ? paper : "rgba(0,0,0,0)", // a file has a ground of its own
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left", namelength: 40, bgcolor: paper, bordercolor: ink, font: { color: ink } },
    uirevision: "kept", // a change of colours keeps the zoom
  };
}

const CONFIG = { displayModeBar: false, responsive: true, showTips: false };
const figureOf = new Map(); // by the element that Plotly draws in
const drawn = new Set();

function draw(box) {
  watcher.unobserve(box);
  drawn.add(box);
  const figure = figureOf.get(box);
  Plotly.react(box, tracesOf(figure), layoutOf(figure), CONFIG);
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "300px" });

function redraw() {
  for (const box of drawn) {
    if (box.isConnected) draw(box);
    else watcher.observe(box); // in a row that a search hides: when it comes back
  }
}

function forget(box) {
  watcher.unobserve(box);
  drawn.delete(box);
  figureOf.delete(box);
  Plotly.purge(box);
}

function saveFigure(box, format) {
  const figure = figureOf.get(box);
  const { width, height } = box.getBoundingClientRect();
  const picture = { data: tracesOf(figure), layout: { ...layoutOf(figure, "light"), width, height } };
  Plotly.downloadImage(picture, { format, width, height, scale: format === "png" ? 3 : 1, filename: figure.key });
}

// The parts of a <figure>; where it is not drawn the text says what it shows.
function figureParts(figure, heading) {
  const label = `${figure.title}. ${figure.description}`;
  const box = make("div", { class: "plot", role: "img", "aria-label": label });
  if (figure.layout.height) box.style.minHeight = `${figure.layout.height}px`;
  const frame = make("div", { class: "frame" }, box);
  if (figure.layout.width) {
    frame.className = "scroll";
    box.style.width = `${figure.layout.width}px`;
    for (const [name, value] of [["tabindex", 0], ["role", "group"], ["aria-label", figure.title]]) {
      frame.setAttribute(name, value);
    }
  }
  figureOf.set(box, figure);
  watcher.observe(box);
  const named = (verb) => ({ type: "button", "aria-label": `${verb}: ${figure.title}` });
  return [
    make("figcaption", {}, make(heading, { class: "caption" }, figure.title),
      ...(figure.note ? [make("p", { class: "note" }, figure.note)] : [])),
    frame,
    make("div", { class: "controls" },
      make("button", { ...named("Save SVG"), onclick: () => saveFigure(box, "svg") }, "Save SVG"),
      make("button", { ...named("Save PNG"), onclick: () => saveFigure(box, "png") }, "Save PNG"),
      make("button", { ...named("Reset view"), onclick: () => { Plotly.purge(box); draw(box); } }, "Reset view")),
    make("details", {}, make("summary", {}, "Description of the figure"), make("p", {}, ...sentenceParts(figure.description))),
  ];
}

// ---- Tables ------------------------------------------------------------------------------------------

function shown(value, kind) {
  if (value === null) return "";
  if (typeof value === "string" || kind === "text") return String(value);
  const size = Math.abs(value);
  if (kind === "p") return size > 0 && size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(2)));
  if (Number.isInteger(value)) return String(value);
  if (size < 0.001 || size >= 1e6) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

function tabSeparated(table, rows) {
  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /["\t\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [table.columns.map((column) => column.name), ...rows.map((number) => table.rows[number])];
  return lines.map((line) => `${line.map(cell).join("\t")}\n`).join("");
}

const collator = new Intl.Collator("en", { numeric: true });

function compare(first, second) {
  if (typeof first === "number" && typeof second === "number") return first - second;
  return collator.compare(String(first), String(second));
}

class TableView {
  constructor(place, table) {
    this.table = table;
    this.sorted = { column: -1, sign: 1 };
    this.limit = STEP;
    this.open = new Map(); // row number -> element of its detail
    this.body = make("tbody", {});
    this.headings = table.columns.map((column, number) => this.heading(column, number));
    this.status = make("p", { class: "status", role: "status" });
    this.more = make("button", { type: "button", onclick: () => this.showMore() }, "Show more rows");
    place.replaceChildren(
      make("h3", {}, table.title),
      ...(table.note ? [make("p", { class: "note" }, table.note)] : []),
      ...this.help(),
      this.controls(),
      make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": table.title },
        make("table", { "aria-label": table.title },
          make("thead", {}, make("tr", {}, ...this.headings)), this.body)),
      this.status,
      make("div", { class: "controls" }, this.more));
    this.update();
  }

  heading(column, number) {
    const button = make("button", {
      type: "button", title: column.help || null, onclick: () => this.sortBy(number) }, column.label);
    return make("th", { scope: "col", class: column.kind === "text" ? null : "number" }, button);
  }

  help() {
    const facts = this.table.columns.filter((column) => column.help).map((column) => [column.label, column.help]);
    return facts.length
      ? [make("details", {}, make("summary", {}, "What the columns mean"), definitions(facts))] : [];
  }

  controls() {
    const filter = () => { this.limit = STEP; this.update(); };
    this.search = make("input", { type: "search", oninput: filter });
    const many = this.table.rows.length > FEW;
    const fields = many ? [make("label", {}, "Search", this.search)] : [];
    this.flagColumn = this.table.columns.findIndex((column) => column.name === "flag");
    const flags = [...new Set(this.table.rows.map((row) => row[this.flagColumn] ?? ""))].sort();
    if (many && this.flagColumn >= 0 && flags.length > 1) {
      this.flag = make("select", { onchange: filter }, make("option", { value: "*" }, "any"),
        ...flags.map((flag) => make("option", { value: `=${flag}` }, flag || "none")));
      fields.push(make("label", {}, this.table.columns[this.flagColumn].label, this.flag));
    }
    const { file } = this.table;
    const every = () => save(file, tabSeparated(this.table, [...this.table.rows.keys()]));
    const these = () => save(file.replace(/(\.[^.]*)?$/, "_shown$1"), tabSeparated(this.table, this.matches()));
    return make("div", { class: "controls" }, ...fields,
      make("button", { type: "button", onclick: every }, "Save all rows (TSV)"),
      ...(many ? [make("button", { type: "button", onclick: these }, "Save rows found (TSV)")] : []));
  }

  // Numbers of the rows that the search leaves, in the order of the table.
  matches() {
    const { rows, columns } = this.table;
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.texts ??= rows.map((row) => row.map((value, k) => shown(value, columns[k].kind)).join("\t").toLowerCase());
    const flag = this.flag?.value ?? "*";
    const found = [...rows.keys()].filter((number) =>
      words.every((word) => this.texts[number].includes(word))
      && (flag === "*" || `=${rows[number][this.flagColumn] ?? ""}` === flag));
    const { column, sign } = this.sorted;
    if (column < 0) return found;
    const known = found.filter((number) => rows[number][column] !== null);
    const unknown = found.filter((number) => rows[number][column] === null); // last in both directions
    return [...known.sort((a, b) => sign * compare(rows[a][column], rows[b][column])), ...unknown];
  }

  sortBy(column) {
    const sign = this.sorted.column === column ? -this.sorted.sign : 1;
    this.sorted = { column, sign };
    this.headings.forEach((heading, number) => {
      if (number === column) heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    });
    this.update();
  }

  showMore() {
    const before = this.limit;
    this.limit += Math.max(100, this.limit);
    this.update();
    if (this.more.hidden) this.body.rows[before]?.querySelector("button")?.focus();
  }

  update() {
    const found = this.matches();
    const visible = found.slice(0, this.limit);
    this.body.replaceChildren(...visible.flatMap((number) => this.rowElements(number)));
    this.more.hidden = found.length <= this.limit;
    const all = this.table.rows.length;
    const of = found.length === all ? `${all}` : `${found.length} found among ${all}`;
    this.status.textContent = found.length ? `Rows 1 to ${visible.length} of ${of}.` : `No row found among ${all}.`;
  }

  rowElements(number) {
    const { columns, details, rows } = this.table;
    const cells = columns.map((column, k) => {
      const value = rows[number][k];
      const text = shown(value, column.kind);
      const exact = value !== null && text !== String(value) ? String(value) : null;
      const look = column.kind === "text" ? null : "number";
      return make("td", { class: look, title: exact },
        make("bdi", { class: text.length > SHORT ? null : "unbroken" }, text));
    });
    const row = make("tr", {}, ...cells);
    if (!details[number]) return [row];
    const opened = this.open.get(number);
    const button = make("button", { type: "button", "aria-expanded": String(Boolean(opened)) });
    const cell = cells[Math.max(0, columns.findIndex((column) => column.kind === "text"))];
    button.append(...(cell.textContent ? cell.childNodes : [`Row ${number + 1}`]));
    cell.replaceChildren(button);
    row.className = opened ? "opens open" : "opens";
    row.addEventListener("click", () => {
      if (getSelection().isCollapsed) this.toggle(number, row, button); // not at the end of marking text
    });
    return opened ? [row, opened] : [row];
  }

  toggle(number, row, button) {
    const opened = this.open.get(number);
    button.setAttribute("aria-expanded", String(!opened));
    row.classList.toggle("open", !opened);
    if (opened) {
      opened.querySelectorAll(".plot").forEach(forget);
      opened.remove();
      this.open.delete(number);
      return;
    }
    const { sentence, facts, figure } = this.table.details[number];
    const parts = [make("p", {}, ...sentenceParts(sentence)), make("div", { class: "beside" },
      ...(figure ? [make("figure", {}, ...figureParts(figure, "p"))] : []),
      ...(facts.length ? [definitions(facts)] : []))];
    const cell = make("td", { colspan: this.table.columns.length }, make("div", {}, ...parts));
    const element = make("tr", { class: "detail" }, cell);
    this.open.set(number, element);
    row.after(element);
  }
}

// ---- The page ----------------------------------------------------------------------------------------

for (const place of document.querySelectorAll("figure[data-figure]")) {
  const figure = REPORT.figures[place.dataset.figure];
  if (figure.layout.width > 560) place.classList.add("wide");
  place.replaceChildren(...figureParts(figure, "h3"));
}
for (const place of document.querySelectorAll("[data-table]")) {
  new TableView(place, REPORT.tables[place.dataset.table]);
}

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
const isDark = () => (document.documentElement.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";

const nameTheme = () => { themeButton.textContent = isDark() ? "Light page" : "Dark page"; };
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
  redraw();
});
darkSystem.addEventListener("change", () => { nameTheme(); redraw(); });
nameTheme();

// On paper: every figure, light, as wide as the paper, with its description.
const [PAPER_WIDTH, PAPER_HEIGHT] = [640, 300];
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((details) => { details.open = true; });
  for (const [box, figure] of figureOf) {
    if (!box.isConnected) continue;
    watcher.unobserve(box);
    drawn.add(box);
    const width = Math.min(figure.layout.width ?? PAPER_WIDTH, PAPER_WIDTH);
    const height = figure.layout.height ?? PAPER_HEIGHT;
    box.style.minHeight = 0;
    Plotly.react(box, tracesOf(figure), { ...layoutOf(figure, "light"), width, height }, CONFIG);
  }
});
addEventListener("afterprint", () => {
  closed.forEach((details) => { details.open = false; });
  redraw();
});
