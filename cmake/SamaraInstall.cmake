# Man pages, completions and Debian packages: see below as they come.
