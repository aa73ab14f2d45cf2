// Light, dark, or as the system has it.

function startTheme() {
  const button = document.getElementById("theme"), themes = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("litedelegates-theme") || "auto"; } catch { /* a file opened where storage is closed */ }
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
  };
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("litedelegates-theme", theme); } catch { /* likewise */ }
    apply();
  });
  apply();
}
