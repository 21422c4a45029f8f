"""How `portfire serve` begins, is watched and ends, over gRPC."""

from __future__ import annotations

import queue
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from faces import Program
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_client import SECONDS, collected, pictures, refused, tensor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from serving import Server, wait_until
from tritonclient.grpc import service_pb2


def test_health_is_checked_and_watched(program: Program, served_models: Path) -> None:
    with Server(program, served_models, grpc=True) as own, grpc.insecure_channel(own.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "inference.GRPCInferenceService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        watched = health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        own.ask_to_stop()
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as raised:
            next(watched)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert own.wait() == 0


def test_reflection_describes_every_service(grpc_server: Server) -> None:
    with grpc.insecure_channel(grpc_server.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = {"inference.GRPCInferenceService", "grpc.health.v1.Health"}
        assert services <= set(database.get_services())
        for name in database.get_services():
            assert pool.FindServiceByName(name).methods
        # What both describe is the same on the wire.
        for name, ours in (
            (name, pool.FindMessageTypeByName(f"inference.{name}"))
            for name in ("ModelInferRequest", "ModelInferResponse", "ModelConfig", "ModelStatistics")
        ):
            known = service_pb2.DESCRIPTOR.message_types_by_name.get(name)
            known = known or triton.model_config_pb2.DESCRIPTOR.message_types_by_name[name]
            for field in ours.fields:
                other = known.fields_by_number[field.number]
                assert (other.name, other.type) == (field.name, field.type)
        with pytest.raises(KeyError):
            pool.FindMessageTypeByName("inference.Nothing")


def test_stopping_lets_calls_end(program: Program, served_models: Path) -> None:
    with (
        Server(program, served_models, "--json", grpc=True) as own,
        triton.InferenceServerClient(own.grpc) as opened,
    ):
        ended: queue.Queue[Any] = queue.Queue()
        answers = collected(opened)  # an open stream holds nothing up
        opened.async_stream_infer("digits", [tensor("x", pictures(1))])
        assert answers.get(timeout=SECONDS)[1] is None
        zeros = tensor("x", np.zeros((256, 256), np.float32))
        for _ in range(3):
            opened.async_infer("slow", [zeros], callback=lambda result, error: ended.put(error))
        time.sleep(0.05)
        own.ask_to_stop()
        assert [ended.get(timeout=SECONDS) for _ in range(3)] == [None] * 3
        assert own.wait() == 0
        assert any(line["event"] == "stopped" for line in own.events)


def test_what_takes_longer_than_the_limit_is_cancelled(program: Program, served_models: Path) -> None:
    with Server(program, served_models, "--drain-seconds", 0, grpc=True) as own:
        opened = triton.InferenceServerClient(own.grpc)
        ended: queue.Queue[Any] = queue.Queue()
        zeros = tensor("x", np.zeros((256, 256), np.float32))
        for _ in range(40):
            opened.async_infer("slow", [zeros], callback=lambda result, error: ended.put(error))
        time.sleep(0.05)
        own.ask_to_stop()
        assert any(ended.get(timeout=SECONDS) is not None for _ in range(40))
        assert own.wait() == 0
        opened.close()


def test_a_port_that_is_taken_is_said_in_one_line(
    grpc_server: Server, program: Program, served_models: Path
) -> None:
    done = program("serve", served_models, "--port", 0, "--grpc-port", grpc_server.grpc_port)
    assert done.status == 74 and str(grpc_server.grpc_port) in done.error


def test_http_alone(program: Program, served_models: Path) -> None:
    with Server(program, served_models) as own:
        assert not any("grpc://" in line for line in own.log)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server and a client that it signed."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl(*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        more = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key"]
        openssl(*new, *more, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    return folder


def test_tls_with_certificates_of_both_sides(program: Program, served_models: Path, keys: Path) -> None:
    options = ["--tls-certificate", keys / "server.pem", "--tls-key", keys / "server.key"]
    with Server(program, served_models, *options, "--tls-clients", keys / "ca.pem", grpc=True) as own:
        wait_until(lambda: any(line.endswith("digits/10: ready") for line in own.log), "the model")
        address = f"localhost:{own.grpc_port}"
        files = {"root_certificates": str(keys / "ca.pem")}
        mine = {"private_key": str(keys / "client.key"), "certificate_chain": str(keys / "client.pem")}
        with triton.InferenceServerClient(address, ssl=True, **files, **mine) as opened:
            assert opened.infer("digits", [tensor("x", pictures(1))]).as_numpy("logits").shape == (1, 10)
        with triton.InferenceServerClient(address, ssl=True, **files) as opened:
            refused(lambda: opened.is_server_live(client_timeout=5), "UNAVAILABLE")
        with triton.InferenceServerClient(address) as opened:
            refused(lambda: opened.is_server_live(client_timeout=5), "UNAVAILABLE")


def test_protocol_buffers_of_other_libraries_are_not_mixed_in(program: Program) -> None:
    listed = subprocess.run(["nm", "-D", program.path], check=True, capture_output=True, text=True).stdout
    assert not [line for line in listed.splitlines() if "google8protobuf" in line]
