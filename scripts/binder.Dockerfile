# The small profile as an image, by the steps that Binder takes:
#   git archive HEAD | docker build -f scripts/binder.Dockerfile -t mlops-course -
#   docker run --rm -p 127.0.0.1:8888:8888 --memory 2g mlops-course
FROM python:3.11-slim AS build
# Debian keeps one version of each: a pin would break the build at the next update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/course
ENV PATH=/opt/course/bin:$PATH COURSE_CACHE=/opt/cache
WORKDIR /home/learner/mlops-course
COPY . .
RUN binder/postBuild

FROM python:3.11-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home learner
COPY --from=build /opt/course /opt/course
COPY --from=build --chown=1000:1000 /opt/cache /opt/cache
COPY --from=build --chown=1000:1000 /home/learner /home/learner
ENV PATH=/opt/course/bin:$PATH COURSE_CACHE=/opt/cache
USER 1000
WORKDIR /home/learner/mlops-course
EXPOSE 8888
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8888/api', timeout=5)"]
ENTRYPOINT ["binder/start"]
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
