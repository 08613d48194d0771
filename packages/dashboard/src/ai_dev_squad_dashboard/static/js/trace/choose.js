// Choosing two runs to compare. Without scripts the button works as well, and the server says when there are not two.

export function mount(form) {
  const button = form.querySelector("[data-compare]");
  const words = form.querySelector("[data-chosen]");
  const boxes = () => [...form.querySelectorAll("input[name=t]")];

  const count = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    button.disabled = chosen !== 2;
    words.textContent = chosen === 0 ? "Choose two runs to compare them." : chosen === 1 ? "One chosen; choose another." : "Two chosen.";
    for (const box of boxes()) box.disabled = chosen === 2 && !box.checked;
  };
  form.onchange = count;
  count();
}
