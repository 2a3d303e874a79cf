// Makes formulas that are wider than the paper fit, and names what still stands outside its column.
() => {
  const smallest = 0.45; // of its size; below that nobody could read it
  const outside = [];
  for (const chapter of document.querySelectorAll(".ib-chapter")) {
    for (const formula of chapter.querySelectorAll('mjx-container[display="true"]')) {
      const wide = formula.querySelector("mjx-math").getBoundingClientRect().width;
      const room = formula.clientWidth;
      if (wide > room) {
        const size = parseFloat(getComputedStyle(formula).fontSize);
        formula.style.fontSize = `${size * Math.max(smallest, (0.99 * room) / wide)}px`;
      }
    }
    const column = chapter.getBoundingClientRect();
    for (const element of chapter.querySelectorAll("pre, table, img, svg, mjx-math, p, li, td")) {
      const box = element.getBoundingClientRect();
      const by = Math.round(Math.max(box.right - column.right, column.left - box.left));
      if (box.width && by > 1) {
        const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
        outside.push(`${chapter.id}: ${element.localName} by ${by} px: ${text}`);
      }
    }
  }
  return outside;
}
