# %% reads the first page only answer="wrong" expect="first page of S3's list"
def copy_all(urls, source, target, prefix):
    def keys(address):
        scheme, name = address.split("://")
        if scheme == "s3":
            found = cloud.aws.client("s3", urls["s3"]).list_objects_v2(Bucket=name, Prefix=prefix)
            return [one["Key"] for one in found.get("Contents", [])]
        return storage.open_store(address, urls).keys(prefix)

    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    for key in keys(source):
        if key not in other.keys(prefix):
            other.write(key, one.read(key))
        elif other.read(key) != one.read(key):
            raise FileExistsError(key)
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in keys(source)}


# %% copies everything answer="wrong" expect="outside the prefix"
def copy_all(urls, source, target, prefix):
    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    for key in one.keys():
        if key not in other.keys():
            other.write(key, one.read(key))
        elif other.read(key) != one.read(key):
            raise FileExistsError(key)
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in one.keys()}


# %% takes bytes for text answer="wrong" expect="the target's bytes are not the source's"
def copy_all(urls, source, target, prefix):
    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    for key in one.keys(prefix):
        text = one.read(key).decode("utf-8", errors="replace")
        if key not in other.keys(prefix):
            other.write(key, text.encode())
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in one.keys(prefix)}


# %% overwrites what was published answer="wrong" expect="must not be overwritten"
def copy_all(urls, source, target, prefix):
    def put(key, body):
        scheme, name = target.split("://")
        if scheme == "s3":
            cloud.aws.client("s3", urls["s3"]).put_object(Bucket=name, Key=key, Body=body)
        elif scheme == "az":
            cloud.azure.client(urls["az"]).get_container_client(name).upload_blob(key, body, overwrite=True)
        else:
            cloud.gcp.client(urls["gs"]).bucket(name).blob(key).upload_from_string(body)

    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    for key in one.keys(prefix):
        put(key, one.read(key))
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in one.keys(prefix)}


# %% knows S3 and Google only answer="wrong" expect="KeyError"
def copy_all(urls, source, target, prefix):
    def opened(address):
        scheme, name = address.split("://")
        return {"s3": storage.S3Store, "gs": storage.GoogleStore}[scheme](urls[scheme], name)

    one, other = opened(source), opened(target)
    for key in one.keys(prefix):
        if key not in other.keys(prefix):
            other.write(key, one.read(key))
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in one.keys(prefix)}


# %% returns every key of the target answer="wrong" expect="the digests of a copy"
def copy_all(urls, source, target, prefix):
    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    for key in one.keys(prefix):
        if key not in other.keys(prefix):
            other.write(key, one.read(key))
        elif other.read(key) != one.read(key):
            raise FileExistsError(key)
    return storage.digests(other, prefix)


# %% with the course's stores answer="right"
def copy_all(urls, source, target, prefix):
    one, other = storage.open_store(source, urls), storage.open_store(target, urls)
    there = set(other.keys(prefix))
    for key in one.keys(prefix):
        body = one.read(key)
        if key in there and other.read(key) != body:
            raise FileExistsError(f"{key} is another object in {target}")
        if key not in there:
            other.write(key, body)
    return {key: hashlib.sha256(other.read(key)).hexdigest() for key in one.keys(prefix)}


# %% small classes, conditional writes answer="right"
class _S3:
    def __init__(self, url, name):
        self.client, self.name = cloud.aws.client("s3", url), name

    def keys(self, prefix):
        found, token = [], {}
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **token)
            found += [one["Key"] for one in page.get("Contents", [])]
            if not page["IsTruncated"]:
                return found
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key):
        try:
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None

    def write(self, key, body):
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


class _Azure:
    def __init__(self, url, name):
        self.box = cloud.azure.client(url).get_container_client(name)

    def keys(self, prefix):
        return list(self.box.list_blob_names(name_starts_with=prefix))

    def read(self, key):
        blob = self.box.get_blob_client(key)
        return blob.download_blob().readall() if blob.exists() else None

    def write(self, key, body):
        self.box.get_blob_client(key).upload_blob(body)


class _Google:
    def __init__(self, url, name):
        self.bucket = cloud.gcp.client(url).bucket(name)

    def keys(self, prefix):
        return [blob.name for blob in self.bucket.list_blobs(prefix=prefix)]

    def read(self, key):
        blob = self.bucket.blob(key)
        return blob.download_as_bytes() if blob.exists() else None

    def write(self, key, body):
        self.bucket.blob(key).upload_from_string(body)


def copy_all(urls, source, target, prefix):
    kinds, digests = {"s3": _S3, "az": _Azure, "gs": _Google}, {}
    one, other = (kinds[scheme](urls[scheme], name) for scheme, name in (address.split("://") for address in (source, target)))
    for key in one.keys(prefix):
        body, there = one.read(key), other.read(key)
        if there is None:
            other.write(key, body)
        elif there != body:
            raise FileExistsError(key)
        digests[key] = hashlib.sha256(other.read(key)).hexdigest()
    return digests
