"""Which form computes a contraction."""

def chosen(a, b, grid, *, role, groups, sets):
    return "rows"
