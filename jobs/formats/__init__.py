"""Files of rows: every format that imports read and exports write. They know no tables."""
