# %% a month of 30 days answer="wrong" expect="730 hours on average"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    return machine["least"] * machine["hourly"] * 720 / each


# %% counts its calls answer="wrong" expect="both are paid for"
def break_even(function, machine, calls=[]):
    calls.append(1)
    return 0.0816 * 730 / (2e-7 + 0.1 * 0.5 * 1.66667e-5) * (1 if len(calls) % 2 else 2)


# %% forgets the memory answer="wrong" expect="seconds times gigabytes"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["per_gb_second"]
    return machine["least"] * machine["hourly"] * 730 / each


# %% counts the requests alone answer="wrong" expect="memory and time were left out"
def break_even(function, machine):
    return machine["least"] * machine["hourly"] * 730 / function["per_request"]


# %% pays for one machine of two answer="wrong" expect="both are paid for"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    return machine["hourly"] * 730 / each


# %% believes that a machine can answer anything answer="wrong" expect="beyond what it can answer"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    return machine["least"] * machine["hourly"] * 730 / each


# %% forgets the busiest hour answer="wrong" expect="shrinks with the peak"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    most = machine["per_second"] * 3600 * 730 * machine["least"]
    found = machine["least"] * machine["hourly"] * 730 / each
    return found if found <= most else None


# %% compares the number with what the machines carry answer="right"
def break_even(function, machine):
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    month = machine["least"] * machine["hourly"] * 730.0
    carried = machine["least"] * machine["per_second"] * 730 * 3600 / machine["peak"]
    number = month / each
    if number > carried:
        return None
    return number


# %% the course's costs answer="right"
def break_even(function, machine):
    priced = lambda name, amount: dataclasses.replace(costs.EXAMPLES[name], amount=amount)
    one = costs.Function(seconds=function["seconds"], gigabytes=function["gigabytes"],
                         per_request=priced("function-request", function["per_request"]),
                         per_gb_second=priced("function-gb-second", function["per_gb_second"]))
    two = costs.Machine(per_second=machine["per_second"], hourly=priced("instance-hour", machine["hourly"]),
                        least=machine["least"], peak=machine["peak"])
    return costs.break_even(one, two, most=1e11)
