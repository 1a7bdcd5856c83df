# Fairlead's image: wheels are built in one stage, and the final one has Python, the installed package and the libraries
# that they load: no shell, no package manager. It runs as a numeric non-root user on a read-only root file system.
#
#   docker build -t fairlead:0.1.0 .          or scripts/build-image, which also runs it as Kubernetes would
#
# PYTHON: any Debian-based image with Python 3.11 or newer; official ones are built with PGO and LTO, which counts.
# A package index of your own: --secret id=pip,src=$HOME/.config/pip/pip.conf. It is read while wheels are built and is in
# no layer.
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
SHELL ["/bin/sh", "-eu", "-c"]
# Unpinned: security updates of the compiler's packages are wanted, and none of them reaches the final image. The headers
# of Debian's own Python are a package; official images carry theirs.
# hadolint ignore=DL3008
RUN headers=$(python3 -c 'import os, sysconfig; \
        print("" if os.path.exists(sysconfig.get_path("include") + "/Python.h") else "python3-dev")'); \
    apt-get update; \
    apt-get install -y --no-install-recommends gcc libc6-dev ${headers:+"$headers"}; \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py README.md ./
COPY proxy proxy
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /build; \
    /build/bin/python -m pip wheel --no-cache-dir --wheel-dir /wheels .
# Cython is what the modules in pure Python mode need when they run interpreted; here they are compiled.
RUN python3 -m venv --without-pip /opt/fairlead; \
    /build/bin/python -m pip --python /opt/fairlead/bin/python install --no-cache-dir --no-index --find-links /wheels \
        fairlead; \
    /build/bin/python -m pip --python /opt/fairlead/bin/python uninstall -y -q Cython; \
    find /opt/fairlead -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete; \
    find /opt/fairlead -name '*.so' -exec strip --strip-unneeded {} +; \
    /opt/fairlead/bin/python -c 'import fairlead; assert fairlead.is_compiled()'
COPY deploy/image/runtime.py ./
RUN python3 runtime.py /opt/fairlead /root-of-image; \
    chroot /root-of-image /opt/fairlead/bin/python -m fairlead --version

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Fairlead" \
      org.opencontainers.image.description="A user-space L4/L7 load-balancing proxy for Kubernetes" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-of-image /
ENV PATH=/opt/fairlead/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8
# Numeric: Kubernetes can tell that it is not root without looking into the image.
USER 65532:65532
EXPOSE 8080 9900
# Kubernetes has probes of its own; whatever else runs this may ask /healthz on the admin port.
HEALTHCHECK NONE
ENTRYPOINT ["/opt/fairlead/bin/python", "-m", "fairlead"]
CMD ["run", "-c", "/etc/fairlead/fairlead.yaml"]
