// The custom span of time: the server reads UTC, the reader's clock shows something else.

const two = (number) => String(number).padStart(2, "0");

function toLocal(text) {
  const moment = new Date(`${text}Z`);
  if (Number.isNaN(moment.getTime())) return "";
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

export function mount(form) {
  if (form.dataset.local) return;
  form.dataset.local = "yes";
  for (const input of form.querySelectorAll('input[type="datetime-local"]')) {
    if (input.value) input.value = toLocal(input.value);
    const hint = input.closest("label").querySelector("small");
    hint.textContent = hint.textContent.replace(/^UTC(, )?/, "");
  }
  form.addEventListener("formdata", (event) => {
    for (const name of ["from", "to"]) {
      const text = event.formData.get(name);
      if (text) event.formData.set(name, new Date(text).toISOString().replace(/\.\d+Z$/, "Z"));
      else event.formData.delete(name);
    }
  });
}
