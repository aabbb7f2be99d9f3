// harmful and unharmful in the person's language. The values that forms send stay as they are.
export const labelWords = (label) => ({ harmful: gettext("harmful"), unharmful: gettext("unharmful") })[label] || "";
