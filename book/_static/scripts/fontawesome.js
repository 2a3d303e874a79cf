// In place of the theme's file of this name, one and a half megabytes that hold every icon as a drawing: the
// theme's style sheet has the few that this book shows from a font.
