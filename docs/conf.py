"""How `make docs` builds these pages as a site. Nothing is loaded from elsewhere."""

project = "django-restorable"
extensions = ["myst_parser"]
myst_heading_anchors = 3  # the anchors that GitHub gives the headings
highlight_language = "none"  # most blocks are commands and what they print
html_theme = "furo"
html_title = project
html_copy_source = html_show_sphinx = html_show_copyright = False
html_static_path = html_css_files = ["site.css"]
