// A button that copies what stands in data-copy, or the text of the element that data-copy-from names.

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain HTTP on another machine's address has no clipboard; a selection works everywhere.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "away";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function mount(button) {
  button.onclick = async () => {
    const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    await toClipboard(source ? source.textContent : button.dataset.copy);
    const label = button.getAttribute("aria-label");
    button.dataset.done = "";
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      delete button.dataset.done;
      button.setAttribute("aria-label", label);
    }, 1500);
  };
}
