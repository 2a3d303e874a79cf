// Makes what is wider than the paper fit, and names what still does not.
() => {
  const edge = (chapter) => chapter.getBoundingClientRect().right + 0.5;
  const fit = (element, room, smallest) => {
    const wide = element.scrollWidth;
    if (wide > room + 0.5) {
      element.style.fontSize = `${Math.max(smallest, (100 * room) / wide - 0.5)}%`;
    }
  };
  const outside = [];
  for (const chapter of document.querySelectorAll(".ib-chapter")) {
    for (const formula of chapter.querySelectorAll('mjx-container[display="true"]')) {
      fit(formula, formula.clientWidth, 55);
    }
    const right = edge(chapter);
    for (const element of chapter.querySelectorAll("pre, table, img, svg, mjx-math, p, li, td")) {
      if (element.closest("mjx-assistive-mml")) continue;
      const box = element.getBoundingClientRect();
      if (box.width && box.right > right + 1) {
        const what = element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
        outside.push(`${chapter.id}: ${element.localName} by ${Math.round(box.right - right)} px: ${what}`);
      }
    }
  }
  return outside;
}
