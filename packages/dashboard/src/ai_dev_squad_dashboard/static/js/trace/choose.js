// Choosing runs to compare. Without scripts the button works as well, and the server says when there are too many.

export function mount(form) {
  const button = form.querySelector("[data-compare]");
  const words = form.querySelector("[data-chosen]");
  const most = Number(form.dataset.most ?? 6);
  const least = Number(form.dataset.least ?? 2);
  const boxes = () => [...form.querySelectorAll("input[name=t][type=checkbox]")];
  const typed = () => [...form.querySelectorAll("input[name=t]:not([type])")].filter((field) => field.value.trim() !== "").length;
  const fixed = form.querySelectorAll("input[name=t][type=hidden]").length;

  const count = () => {
    const chosen = boxes().filter((box) => box.checked).length + typed();
    const full = chosen + fixed >= most;
    const few = chosen < least;
    button.disabled = few;
    if (full) words.textContent = `${most} chosen: that is the most that can be laid side by side.`;
    else if (!few) words.textContent = `${chosen} chosen.`;
    else if (chosen) words.textContent = "One chosen; choose another.";
    else words.textContent = least === 1 ? "Choose at least one." : `Choose two to ${most} runs to compare them.`;
    for (const box of boxes()) {
      box.disabled = full && !box.checked;
      // A box that does nothing says why.
      if (box.disabled) box.title = `At most ${most} runs can be compared: take one out first`;
      else box.removeAttribute("title");
    }
  };
  form.onchange = count;
  form.oninput = count;
  form.onsubmit = () => {
    const empty = [...form.querySelectorAll("input[name=t]")].filter((field) => field.value.trim() === "");
    for (const field of empty) field.disabled = true;
    // The page may be shown again from the browser's memory.
    setTimeout(() => empty.forEach((field) => (field.disabled = false)));
  };
  count();
}
