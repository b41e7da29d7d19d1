# %% answers 200 and puts the error into the body answer="wrong" expect="200 tells every retry loop that all went well"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(request: Request):
        if model is None:
            return {"error": "there is no model"}
        try:
            flight = schemas.Flight.model_validate_json(await request.body())
            return {"late_probability": model.score([schemas.row_of(flight)])[0]}
        except ValidationError as error:
            return {"error": str(error)}

    return app


# %% leaves it to FastAPI, which says 422 to everything answer="wrong" expect="this could not be read at all"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(flight: schemas.Flight):
        if model is None:
            return JSONResponse({"detail": "no model"}, 503, headers={"Retry-After": "1"})
        return {"late_probability": model.score([schemas.row_of(flight)])[0]}

    return app


# %% tells the caller what went wrong inside answer="wrong" expect="the 500 leaks the text of the error"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(request: Request):
        if model is None:
            return JSONResponse({"detail": "no model"}, 503, headers={"Retry-After": "1"})
        try:
            flight = schemas.Flight.model_validate_json(await request.body())
        except ValidationError as error:
            status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
            return JSONResponse({"detail": str(error)}, status)
        try:
            return {"late_probability": model.score([schemas.row_of(flight)])[0]}
        except Exception as error:
            return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, 500)

    return app


# %% one except for everything answer="wrong" expect="500 blames us for the caller's data"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(request: Request):
        if model is None:
            return JSONResponse({"detail": "no model"}, 503, headers={"Retry-After": "1"})
        try:
            flight = schemas.Flight.model_validate_json(await request.body())
            return {"late_probability": model.score([schemas.row_of(flight)])[0]}
        except Exception:
            return JSONResponse({"detail": "error"}, 500)

    return app


# %% 422 that does not name the field answer="wrong" expect="422 without the field's name"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(request: Request):
        if model is None:
            return JSONResponse({"detail": "no model"}, 503, headers={"Retry-After": "1"})
        try:
            flight = schemas.Flight.model_validate_json(await request.body())
        except ValidationError as error:
            status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
            return JSONResponse({"detail": "invalid input"}, status)
        try:
            return {"late_probability": model.score([schemas.row_of(flight)])[0]}
        except Exception:
            return JSONResponse({"detail": "error"}, 500)

    return app


# %% calls a missing model an internal error answer="wrong" expect="we know it: that is 503"
def create_app(source):
    app = FastAPI()
    try:
        model = fakes.open_model(source)
    except CourseError:
        model = None

    @app.post("/predict")
    async def predict(request: Request):
        try:
            flight = schemas.Flight.model_validate_json(await request.body())
        except ValidationError as error:
            status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
            return JSONResponse({"detail": str(error)}, status)
        try:
            return {"late_probability": model.score([schemas.row_of(flight)])[0]}
        except Exception:
            return JSONResponse({"detail": "error"}, 500)

    return app


# %% FastAPI's own way, with a handler for what it cannot read answer="right"
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError


def create_app(source):
    app = FastAPI()
    try:
        app.state.model = fakes.open_model(source)
    except CourseError:
        app.state.model = None

    @app.exception_handler(RequestValidationError)
    async def refuse(request, error):
        fields = [".".join(map(str, one["loc"])) for one in error.errors()]
        body = await request.body()
        try:
            json.loads(body)
        except ValueError:
            return JSONResponse({"detail": "not JSON"}, 400)
        return JSONResponse({"detail": fields}, 422)

    @app.post("/predict")
    def predict(flight: schemas.Flight):
        if app.state.model is None:
            raise HTTPException(503, "come back later", headers={"Retry-After": "1"})
        return {"late_probability": app.state.model.score([schemas.row_of(flight)])[0]}

    return app


# %% json first, then the schema answer="right"
def create_app(source):
    app = FastAPI()
    models = []
    try:
        models.append(fakes.open_model(source))
    except CourseError as problem:
        print(problem.happened)

    def say(status, detail, **headers):
        return JSONResponse({"detail": detail}, status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    @app.post("/predict")
    async def predict(request: Request):
        try:
            raw = json.loads(await request.body())
        except ValueError:
            return say(400, "send JSON")
        try:
            flight = schemas.Flight.model_validate(raw)
        except ValidationError as error:
            return say(422, [str(one["loc"]) + one["msg"] for one in error.errors()])
        if not models:
            return say(503, "loading", Retry_After="1")
        try:
            return {"late_probability": float(models[0].score([schemas.row_of(flight)])[0])}
        except Exception:
            return say(500, "see the log")

    return app
