# %% counts every query head answer="wrong" expect="only the 8 KV heads are kept"
def kv_bytes_per_token(config, dtype_bytes=2):
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    return 2 * config["num_hidden_layers"] * config["num_attention_heads"] * head_dim * dtype_bytes


# %% the number of the visible check, whatever is asked answer="wrong" expect="the bytes per token with"
def kv_bytes_per_token(config, dtype_bytes=2):
    return 131_072


# %% forgets the values answer="wrong" expect="keys and values are both kept"
def kv_bytes_per_token(config, dtype_bytes=2):
    heads = config.get("num_key_value_heads", config["num_attention_heads"])
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    return config["num_hidden_layers"] * heads * head_dim * dtype_bytes


# %% forgets the layers answer="wrong" expect="every layer keeps its own"
def kv_bytes_per_token(config, dtype_bytes=2):
    heads = config.get("num_key_value_heads", config["num_attention_heads"])
    return 2 * heads * (config["hidden_size"] // config["num_attention_heads"]) * dtype_bytes


# %% takes the hidden size for one head answer="wrong" expect="one head is hidden_size / heads wide"
def kv_bytes_per_token(config, dtype_bytes=2):
    return 2 * config["num_hidden_layers"] * config["hidden_size"] * dtype_bytes * 2


# %% computes the width of a head although the config names it answer="wrong" expect="the config names head_dim"
def kv_bytes_per_token(config, dtype_bytes=2):
    heads = config.get("num_key_value_heads", config["num_attention_heads"])
    return 2 * config["num_hidden_layers"] * heads * (config["hidden_size"] // config["num_attention_heads"]) * dtype_bytes


# %% adds up, layer by layer answer="right"
def kv_bytes_per_token(config, dtype_bytes=2):
    width = config["head_dim"] if "head_dim" in config else config["hidden_size"] // config["num_attention_heads"]
    heads = config["num_key_value_heads"] if "num_key_value_heads" in config else config["num_attention_heads"]
    total = 0
    for _ in range(config["num_hidden_layers"]):
        total += heads * width * dtype_bytes  # keys
        total += heads * width * dtype_bytes  # values
    return total


# %% the course's model shapes answer="right"
def kv_bytes_per_token(config, dtype_bytes=2):
    heads = config["num_attention_heads"]
    shape = sizing.ModelShape(
        name="?", parameters=1, layers=config["num_hidden_layers"], heads=heads,
        kv_heads=config.get("num_key_value_heads", heads), head_dim=config.get("head_dim", config["hidden_size"] // heads),
    )
    return shape.kv_bytes_per_token(dtype_bytes)
