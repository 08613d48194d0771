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
    if (input.value) {
      input.dataset.utc = `${input.defaultValue}Z`;
      input.value = toLocal(input.value);
      input.dataset.shown = input.value;
    }
    const hint = input.closest("label").querySelector("small");
    hint.textContent = hint.textContent.replace(/^UTC(, )?/, "");
  }
  form.addEventListener("formdata", (event) => {
    for (const input of form.querySelectorAll('input[type="datetime-local"]')) {
      const { name, value } = input;
      // In the night when clocks are set back an hour comes twice: what nobody changed goes back as it came.
      if (value && value === input.dataset.shown) event.formData.set(name, input.dataset.utc);
      else if (value) event.formData.set(name, new Date(value).toISOString().replace(/\.\d+Z$/, "Z"));
      else event.formData.delete(name);
    }
  });
}
