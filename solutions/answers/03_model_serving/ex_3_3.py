# %% loads before the port opens answer="wrong" expect="the app loaded the model before it answered anyone"
def create_probed_app(source):
    @asynccontextmanager
    async def lifespan(app):
        try:
            app.state.model = fakes.open_model(source)
        except CourseError:
            app.state.model = None
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {"alive": True}

    @app.get("/ready")
    async def ready():
        return JSONResponse({"ready": app.state.model is not None}, 200 if app.state.model else 503)

    return app


# %% says no in the body only answer="wrong" expect="probes read the status"
def create_probed_app(source):
    app = FastAPI()
    app.state.model = None

    async def load():
        try:
            app.state.model = await asyncio.to_thread(fakes.open_model, source)
        except CourseError:
            pass

    @asynccontextmanager
    async def lifespan(_):
        task = asyncio.create_task(load())
        yield
        await task

    app.router.lifespan_context = lifespan

    @app.get("/health")
    async def health():
        return {"alive": True}

    @app.get("/ready")
    async def ready():
        return {"ready": app.state.model is not None}

    return app


# %% makes liveness depend on the model answer="wrong" expect="the process would be killed before it is done"
def create_probed_app(source):
    async def load(app):
        try:
            app.state.model = await asyncio.to_thread(fakes.open_model, source)
        except CourseError:
            pass

    @asynccontextmanager
    async def lifespan(app):
        app.state.model = None
        task = asyncio.create_task(load(app))
        yield
        await task

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    @app.get("/ready")
    async def probe():
        return JSONResponse({"ok": app.state.model is not None}, 200 if app.state.model else 503)

    return app


# %% blocks the event loop in a background task answer="wrong" expect="in a thread"
def create_probed_app(source):
    async def load(app):
        try:
            app.state.model = fakes.open_model(source)
        except CourseError:
            pass

    @asynccontextmanager
    async def lifespan(app):
        app.state.model = None
        task = asyncio.create_task(load(app))
        yield
        await task

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {"alive": True}

    @app.get("/ready")
    async def ready():
        return JSONResponse({}, 200 if app.state.model else 503)

    return app


# %% calls a failed load ready because it is over answer="wrong" expect="traffic would be sent to it"
def create_probed_app(source):
    async def load(app):
        try:
            app.state.model = await asyncio.to_thread(fakes.open_model, source)
        except CourseError:
            pass
        app.state.loading = False

    @asynccontextmanager
    async def lifespan(app):
        app.state.loading = True
        task = asyncio.create_task(load(app))
        yield
        await task

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {"alive": True}

    @app.get("/ready")
    async def ready():
        return JSONResponse({}, 503 if app.state.loading else 200)

    return app


# %% a plain thread answer="right"
import threading


def create_probed_app(source):
    app = FastAPI()
    box = []

    def load():
        try:
            box.append(fakes.open_model(source))
        except CourseError as error:
            print(error.happened)

    threading.Thread(target=load, daemon=True).start()

    @app.get("/health")
    def health():
        return "alive"

    @app.get("/ready")
    def ready():
        return JSONResponse({"model": bool(box)}, status_code=200 if box else 503, headers={"Retry-After": "1"})

    return app


# %% the executor of the loop, and its future answer="right"
from fastapi import HTTPException


def create_probed_app(source):
    @asynccontextmanager
    async def lifespan(app):
        app.state.loading = asyncio.get_running_loop().run_in_executor(None, fakes.open_model, source)
        yield
        await asyncio.wait([app.state.loading])
        app.state.loading.exception()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {}

    @app.get("/ready")
    async def ready():
        loading = app.state.loading
        if not loading.done() or loading.exception() is not None:
            raise HTTPException(503, "not ready")
        return {"ready": True}

    return app
