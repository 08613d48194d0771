// Narrowing the list: a choice counts at once, and fields left empty stay out of the address.

export function mount(form) {
  form.classList.add("is-live");
  form.onchange = (event) => {
    if (event.target.matches("select, input[type=number], input[type=checkbox]")) form.requestSubmit();
  };
  form.onsubmit = () => {
    const empty = [...form.elements].filter((field) => field.name && field.value === "");
    for (const field of empty) field.disabled = true;
    // The page may be shown again from the browser's memory.
    setTimeout(() => empty.forEach((field) => (field.disabled = false)));
  };
}
