const status = document.getElementById("status");
for (const button of document.querySelectorAll(".command button")) {
  button.hidden = false;
  button.onclick = async () => {
    const text = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Press Ctrl+C";
    }
    status.textContent = button.textContent;
  };
}
const search = document.getElementById("search");
if (search) {
  const rows = [...document.querySelectorAll("#projects > li")];
  const plain = (text) =>
    text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[-_.]+/g, "-");
  const texts = rows.map((row) => plain(row.dataset.text));
  const filter = () => {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, number) => {
      row.hidden = !words.every((word) => texts[number].includes(word));
      found += row.hidden ? 0 : 1;
    });
    status.textContent = `${found} of ${rows.length} projects`;
  };
  search.parentElement.append(status);
  status.className = "note";
  search.parentElement.hidden = false;
  search.oninput = filter;
  if (search.value) filter();
}
let anchor = location.hash.slice(1);
try {
  anchor = decodeURIComponent(anchor);
} catch {
  // Not percent-encoded: taken as it is.
}
const opened = document.getElementById(anchor);
if (opened?.matches("details")) opened.open = true;
