# %% allows everything in storage answer="wrong" expect="it may read another bucket"
def trainer_policy(bucket):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


# %% one bucket, whatever is asked answer="wrong" expect="the job may not read and write"
def trainer_policy(bucket):
    arn = "arn:aws:s3:::desk-models"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn,
         "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights/*"},
        {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": f"{arn}/*"},
    ]}


# %% takes the bucket for its objects answer="wrong" expect="the bucket's ARN does not match them"
def trainer_policy(bucket):
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}"},
        {"Effect": "Deny", "Action": "s3:Delete*", "Resource": f"arn:aws:s3:::{bucket}/*"}]}


# %% silence instead of a prohibition answer="wrong" expect="only an explicit Deny beats an Allow"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights/*"}]}


# %% prefix without its final slash answer="wrong" expect="needs its final slash"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights*"},
        {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": f"{arn}/*"}]}


# %% a star in the action answer="wrong" expect="a star in the action opens more"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:Put*"], "Resource": f"{arn}/models/late-flights/*"},
        {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": f"{arn}/*"}]}


# %% lists the whole bucket answer="wrong" expect="the list needs a condition on s3:prefix"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights/*"},
        {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": f"{arn}/*"}]}


# %% forbids to delete objects, not their versions answer="wrong" expect="s3:DeleteObjectVersion is allowed"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": f"{arn}/*"}]}


# %% denies what is not its own answer="wrong" expect="takes away more than was asked for"
def trainer_policy(bucket):
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn, "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{arn}/models/late-flights/*"},
        {"Effect": "Deny", "NotAction": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"], "Resource": "*"}]}


# %% two statements for the objects, delete by pattern answer="right"
def trainer_policy(bucket):
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "s3:DeleteObject*", "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/models/late-flights/*"]},
        {"Effect": "Allow", "Action": ["S3:PutObject"], "Resource": [f"arn:aws:s3:::{bucket}/models/late-flights/*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"],
         "Condition": {"StringLike": {"s3:prefix": ["models/late-flights/", "models/late-flights/*"]}}}]}


# %% built in a loop answer="right"
def trainer_policy(bucket):
    base, own = f"arn:aws:s3:::{bucket}", "models/late-flights/*"
    rows = [("Allow", action, f"{base}/{own}") for action in ("s3:GetObject", "s3:PutObject")]
    rows += [("Deny", action, f"{base}/*") for action in ("s3:DeleteObject", "s3:DeleteObjectVersion")]
    statements = [{"Sid": f"S{n}", "Effect": effect, "Action": action, "Resource": resource}
                  for n, (effect, action, resource) in enumerate(rows)]
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": base, "Condition": {"StringLike": {"s3:prefix": own}}}
    return {"Version": "2012-10-17", "Statement": [*statements, listing]}
