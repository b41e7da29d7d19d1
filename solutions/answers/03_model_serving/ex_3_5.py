# %% waits until the batch is full answer="wrong" expect="a batch that never fills needs a timer"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.waiting = score, max_batch, []

    async def submit(self, row, *, deadline_s):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((row, future))
        if len(self.waiting) == self.max_batch:
            batch, self.waiting = self.waiting, []
            for (_, one), answer in zip(batch, self.score([row for row, _ in batch])):
                one.set_result(answer)
        return await future


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% takes the newest first answer="wrong" expect="callers got each other's answers"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.max_delay_s = score, max_batch, max_delay_s
        self.rows, self.futures, self.timer = [], [], None

    async def submit(self, row, *, deadline_s):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.rows.append(row)
        self.futures.append(future)
        if len(self.rows) == 1:
            self.timer = loop.call_later(self.max_delay_s, self.flush)
        if len(self.rows) == self.max_batch:
            self.timer.cancel()
            self.flush()
        return await future

    def flush(self):
        answers = self.score(self.rows)
        self.rows = []
        for answer in answers:
            self.futures.pop().set_result(answer)


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% scores every flight alone answer="wrong" expect="every flight was scored alone"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score = score

    async def submit(self, row, *, deadline_s):
        return self.score([row])[0]


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% has no eye on the deadline answer="wrong" expect="check the deadline before scoring"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.max_delay_s = score, max_batch, max_delay_s
        self.waiting, self.timer = [], None

    async def submit(self, row, *, deadline_s):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.waiting.append((row, future))
        if len(self.waiting) == 1:
            self.timer = loop.call_later(self.max_delay_s, self.flush)
        if len(self.waiting) == self.max_batch:
            self.timer.cancel()
            self.flush()
        return await future

    def flush(self):
        batch, self.waiting = self.waiting, []
        try:
            answers = self.score([row for row, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers):
            future.set_result(answer)


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% lets an old timer run answer="wrong" expect="the timer of the first batch"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.max_delay_s, self.waiting = score, max_batch, max_delay_s, []

    async def submit(self, row, *, deadline_s):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.waiting.append((row, loop.time() + deadline_s, future))
        if len(self.waiting) == 1:
            loop.call_later(self.max_delay_s, self.flush)
        if len(self.waiting) == self.max_batch:
            self.flush()
        return await future

    def flush(self):
        now, batch, self.waiting = asyncio.get_running_loop().time(), self.waiting, []
        for _, deadline, future in batch:
            if deadline < now:
                future.set_exception(TimeoutError())
        batch = [(row, future) for row, _, future in batch if not future.done()]
        try:
            answers = self.score([row for row, _ in batch]) if batch else []
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers):
            future.set_result(answer)


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% forgets its callers when the model fails answer="wrong" expect="its callers were left waiting for ever"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.max_delay_s = score, max_batch, max_delay_s
        self.waiting, self.timer = [], None

    async def submit(self, row, *, deadline_s):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.waiting.append((row, loop.time() + deadline_s, future))
        if len(self.waiting) == 1:
            self.timer = loop.call_later(self.max_delay_s, self.flush)
        if len(self.waiting) == self.max_batch:
            self.timer.cancel()
            self.flush()
        return await future

    def flush(self):
        now, batch, self.waiting = asyncio.get_running_loop().time(), self.waiting, []
        for _, deadline, future in batch:
            if deadline < now:
                future.set_exception(TimeoutError())
        batch = [(row, future) for row, _, future in batch if not future.done()]
        try:
            answers = self.score([row for row, _ in batch]) if batch else []
        except Exception:
            return
        for (_, future), answer in zip(batch, answers):
            future.set_result(answer)


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% one task per batch, woken by an event answer="right"
class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.score, self.max_batch, self.max_delay_s = score, max_batch, max_delay_s
        self.open = None

    async def submit(self, row, *, deadline_s):
        loop = asyncio.get_running_loop()
        if self.open is None:
            self.open = {"full": asyncio.Event(), "rows": []}
            self.open["task"] = loop.create_task(self.run(self.open))
        batch = self.open
        index = len(batch["rows"])
        batch["rows"].append((row, loop.time() + deadline_s))
        if len(batch["rows"]) == self.max_batch:
            self.open = None
            batch["full"].set()
        answers = await asyncio.shield(batch["task"])
        if index not in answers:
            raise TimeoutError("too late")
        return answers[index]

    async def run(self, batch):
        try:
            await asyncio.wait_for(batch["full"].wait(), self.max_delay_s)
        except TimeoutError:
            self.open = None
        now = asyncio.get_running_loop().time()
        alive = [index for index, (_, deadline) in enumerate(batch["rows"]) if deadline >= now]
        answers = self.score([batch["rows"][index][0] for index in alive]) if alive else []
        return dict(zip(alive, answers))


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)


# %% the course's own batcher inside answer="right"
from course_lib.serving.batching import MicroBatcher as Library
from course_lib.serving.errors import DeadlineExceeded


class MicroBatcher:
    def __init__(self, score, max_batch, max_delay_s):
        self.inner = Library(score, max_batch=max_batch, max_delay_s=max_delay_s)

    async def submit(self, row, *, deadline_s):
        try:
            return await self.inner.submit(row, deadline_s=deadline_s)
        except DeadlineExceeded as error:
            raise TimeoutError(str(error)) from error


def rehearse(arrivals, max_batch=4, max_delay_s=0.010, broken=None):
    return virtual_clock.play(lambda score: MicroBatcher(score, max_batch, max_delay_s), arrivals, broken=broken)
