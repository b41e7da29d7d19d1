# %% a range on one column answer="wrong" expect="no range on one column can see it"
def impossible_weather(frame):
    return list((frame["temp"] < -40) | (frame["temp"] > 120))

# %% a limit for the cold feed answer="wrong" expect="compare temp with dewp, not with a limit"
def impossible_weather(frame):
    return list(frame["temp"] < 10)

# %% fog is refused answer="wrong" expect="fog was refused"
def impossible_weather(frame):
    return list(frame["temp"] <= frame["dewp"])

# %% a missing value counts as broken answer="wrong" expect="unknown is not wrong"
def impossible_weather(frame):
    return list(~(frame["temp"] >= frame["dewp"] - 0.1))

# %% one verdict for the whole batch answer="wrong" expect="Give one bool a row"
def impossible_weather(frame):
    return bool((frame["temp"] < frame["dewp"] - 0.1).any())

# %% marks the good rows answer="wrong" expect="True must mean impossible"
def impossible_weather(frame):
    return list(frame["temp"] >= frame["dewp"] - 0.1)

# %% no room for rounding answer="wrong" expect="is rounding"
def impossible_weather(frame):
    return frame["temp"] < frame["dewp"]

# %% drops the rows it cannot judge answer="wrong" expect="the number of bools (one a row)"
def impossible_weather(frame):
    known = frame.dropna()
    return list(known["temp"] < known["dewp"] - 0.1)

# %% a Series of differences answer="right"
def impossible_weather(frame):
    return (frame["dewp"] - frame["temp"]).gt(0.1)

# %% numpy, with missing values made explicit answer="right"
def impossible_weather(frame):
    import numpy as np

    temp, dewp = frame["temp"].to_numpy(dtype=float), frame["dewp"].to_numpy(dtype=float)
    known = ~(np.isnan(temp) | np.isnan(dewp))
    return known & (np.nan_to_num(dewp) - np.nan_to_num(temp) > 0.1)

# %% a loop over the rows answer="right"
def impossible_weather(frame):
    answer = []
    for temp, dewp in zip(frame["temp"], frame["dewp"]):
        if pd.isna(temp) or pd.isna(dewp):
            answer.append(False)
        else:
            answer.append(temp < dewp - 0.1)
    return answer
