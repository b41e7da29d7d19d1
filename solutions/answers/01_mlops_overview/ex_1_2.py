# %% known for some is known answer="wrong" expect="look at last_known"
def known_in_time(catalogue):
    return [row["column"] for row in catalogue if row["first_known"] is not None and row["first_known"] <= 0]

# %% never becomes zero answer="wrong" expect="last_known None means never"
def known_in_time(catalogue):
    return [row["column"] for row in catalogue if (row["last_known"] or 0) <= 0 and not row["rewritten"]]

# %% early is enough, rewritten or not answer="wrong" expect="rewritten after the flight"
def known_in_time(catalogue):
    return [row["column"] for row in catalogue if row["last_known"] is not None and row["last_known"] <= 0]

# %% strictly before departure answer="wrong" expect="last_known 0) is in time"
def known_in_time(catalogue):
    return [
        row["column"]
        for row in catalogue
        if row["last_known"] is not None and row["last_known"] < 0 and not row["rewritten"]
    ]

# %% knows the names by heart answer="wrong" expect="last_known 0) is in time"
def known_in_time(catalogue):
    return [row["column"] for row in catalogue if row["column"] in ("sched_dep_time", "temp, last full hour")]

# %% a loop with continue answer="right"
def known_in_time(catalogue):
    usable = []
    for row in catalogue:
        if row["rewritten"] or row["last_known"] is None:
            continue
        if row["last_known"] <= 0:
            usable.append(row["column"])
    return usable

# %% with pandas answer="right"
def known_in_time(catalogue):
    table = pd.DataFrame(catalogue, columns=["column", "first_known", "last_known", "rewritten"])
    last = pd.to_numeric(table["last_known"])
    return table.loc[(last <= 0) & ~table["rewritten"].astype(bool), "column"].tolist()
