"""ONNX's element types of fewer than 8 bits, and its floats of 8, in NumPy: what each code is worth, how files pack them, and how a number is rounded.
A format is the list of its values, and rounding a search in it, so nothing here is computed as hecaton computes it."""
from collections import namedtuple

import numpy as np

Format = namedtuple("Format", "number bits values infinite")  # TensorProto.DataType; the value of each code; whether it has infinities


def value_of(code, exponent_bits, mantissa_bits, bias):
    sign, exponent, mantissa = code >> exponent_bits + mantissa_bits & 1, code >> mantissa_bits & (1 << exponent_bits) - 1, code & (1 << mantissa_bits) - 1
    magnitude = mantissa * 2.0 ** (1 - bias - mantissa_bits) if exponent == 0 else (1 + mantissa * 2.0**-mantissa_bits) * 2.0 ** (exponent - bias)
    return np.copysign(magnitude, -1.0 if sign else 1.0)


def format_of(number, bits, exponent_bits, mantissa_bits, bias, special):
    values = [value_of(code, exponent_bits, mantissa_bits, bias) for code in range(1 << bits)]
    for code, value in special.items():
        values[code] = value
    return Format(number, bits, np.array(values), bool(np.isinf(values).any()))


NAN, INF = float("nan"), float("inf")
IEEE = {**{s | 0x7c | m: NAN for s in (0, 0x80) for m in (1, 2, 3)}, 0x7c: INF, 0xfc: -INF}
FLOATS = {
    "FLOAT8E4M3FN": format_of(17, 8, 4, 3, 7, {0x7f: NAN, 0xff: NAN}),
    "FLOAT8E4M3FNUZ": format_of(18, 8, 4, 3, 8, {0x80: NAN}),
    "FLOAT8E5M2": format_of(19, 8, 5, 2, 15, IEEE),
    "FLOAT8E5M2FNUZ": format_of(20, 8, 5, 2, 16, {0x80: NAN}),
    "FLOAT4E2M1": format_of(23, 4, 2, 1, 1, {}),
    "FLOAT8E8M0": Format(24, 8, np.array([2.0 ** (code - 127) for code in range(255)] + [NAN]), False),
}
INTEGERS = {"UINT4": (21, 4, False), "INT4": (22, 4, True), "UINT2": (25, 2, False), "INT2": (26, 2, True)}
BITS = {**{f.number: f.bits for f in FLOATS.values()}, **{number: bits for number, bits, _ in INTEGERS.values()}}


def pack(codes, bits):
    """bytes of a file, the first element in the low bits"""
    padded = np.zeros(-(-codes.size * bits // 8) * (8 // bits), np.uint8)
    padded[: codes.size] = codes.ravel().astype(np.uint8) & (1 << bits) - 1
    return sum((padded[k :: 8 // bits] << np.uint8(k * bits) for k in range(8 // bits)), np.zeros(padded.size * bits // 8, np.uint8)).astype(np.uint8).tobytes()


def unpack(data, bits, count):
    packed = np.frombuffer(data, np.uint8)
    codes = np.stack([packed >> np.uint8(k * bits) & np.uint8((1 << bits) - 1) for k in range(8 // bits)], -1).ravel()
    assert packed.size == -(-count * bits // 8), f"{packed.size} bytes of {count} elements of {bits} bits"
    return codes[:count]


def wrap(values, bits, signed):
    rest = values.astype(np.int64) % (1 << bits)
    return np.where(rest >= 1 << bits - 1, rest - (1 << bits), rest).astype(np.int8) if signed else rest.astype(np.uint8)


def decode(number, codes):
    """codes of an element type as f32, or as i8 or ui8"""
    for name, f in FLOATS.items():
        if f.number == number:
            return f.values[codes].astype(np.float32)
    bits, signed = next((bits, signed) for n, bits, signed in INTEGERS.values() if n == number)
    return wrap(codes, bits, signed)


def power_of_two(x, saturate, mode):
    """FLOAT8E8M0: an exponent alone, of the magnitude"""
    if not np.isfinite(x):
        return NAN
    above = [e for e in range(-127, 129) if 2.0**e >= abs(x)]
    up = above[0] if above else 129
    down = up if 2.0**up == abs(x) or up == -127 else up - 1
    near = up if abs(x) - 2.0**down >= 2.0**up - abs(x) else down
    exponent = {"up": up, "down": down, "nearest": near}[mode]
    return 2.0**exponent if exponent <= 127 else 2.0**127 if saturate else NAN


def narrow_one(x, f, saturate):
    codes = np.flatnonzero(np.isfinite(f.values))
    codes = codes[np.signbit(f.values[codes]) == np.signbit(x)] if np.isfinite(f.values[1 << f.bits - 1]) else codes  # where there is a -0
    limit, large = f.values[codes].max() if not np.signbit(x) else f.values[codes].min(), False
    if np.isfinite(x):
        distance = np.abs(f.values[codes] - x)
        near = codes[distance == distance.min()]
        value = f.values[near[near % 2 == 0][0] if near.size > 1 else near[0]]
        step = abs(limit) - np.sort(np.abs(f.values[codes]))[-2 if np.isfinite(f.values[1 << f.bits - 1]) else -3]
        large = abs(x) > abs(limit) + step / 2 or (abs(x) == abs(limit) + step / 2 and np.abs(codes[f.values[codes] == limit][0]) % 2 == 1)
    if np.isinf(x) or large:
        return limit if saturate or f.bits == 4 else np.copysign(INF, x) if f.infinite else NAN
    return value


def narrow(x, name, saturate=True, mode="up"):
    """f32 numbers as values of the format"""
    f = FLOATS[name]
    if name == "FLOAT8E8M0":
        rounded = [power_of_two(v, saturate, mode) for v in x.ravel().astype(np.float64)]
    else:
        rounded = [(-0.0 if f.bits == 4 else NAN) if np.isnan(v) else narrow_one(v, f, saturate) for v in x.ravel().astype(np.float64)]
    return np.array(rounded, np.float64).astype(np.float32).reshape(x.shape)
