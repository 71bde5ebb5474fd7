#!/usr/bin/env python3
"""Tile-level programs compiled to streams and run, against numpy on whole arrays: linear layers over micro-batches, rings of every
size, views, row-wise operators, accumulators, empty tiles.

usage: programs.py BIN_DIRECTORY WORK_DIRECTORY [CASE...]
"""
import json
import sys

import numpy as np

from tile import Module, Tools, factors

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def integers(rng, shape, low=-4, high=5):
    """Sums of these are exact in f32, whatever their order."""
    return rng.integers(low, high, shape).astype(np.float32)


def dense(loops):
    return [(i, 0, 1) for i in range(loops)]


def absent(walks, *loops):
    return [None if i in loops else w for i, w in enumerate(walks)]


# ---- linear layers ----
def linear(tools, rows, cols, batch, micro_batch, seq, k, n, sram_bytes=None):
    """X [b over r, k over c] is gathered over r, multiplied, reduce-scattered over c; dW = dY^T X accumulates over micro-batches."""
    m = Module(tools, rows, cols, batch, micro_batch, sram_bytes)
    x, w, dy = m.dram("x", "input", f"[{batch}@tr,{seq},{k}@c]"), m.dram("w", "input", f"[{n}@r,{k}@c]"), m.dram("dy", "input", f"[{batch}@t,{seq},{n}@r]")
    y, dw = m.dram("y", "output", f"[{batch}@tc,{seq},{n}@r]"), m.dram("dw", "output", f"[{n}@r,{k}@c]")
    weight, gradient = m.alloc(f"[{n}@r,{k}@c]"), m.alloc(f"[{n}@r,{k}@c]")
    m.load(weight, w)
    m.op("fill", [gradient], {"scalar": "0.0 : f64"}, variadic=False)
    for section, t in m.sections():
        part, whole = m.alloc(f"[{batch}@tr,{seq},{k}@c]", section), m.alloc(f"[{batch}@t,{seq},{k}@c]", section)
        partial, own, dys = m.alloc(f"[{batch}@t,{seq},{n}@r]", section), m.alloc(f"[{batch}@tc,{seq},{n}@r]", section), m.alloc(f"[{batch}@t,{seq},{n}@r]", section)
        m.load(part, x, t)
        m.load(dys, dy, t)
        m.all_gather(whole, part, "r", 0, section)
        loops = [f"{batch}@t", f"{seq}", f"{n}@r", f"{k}@c"]
        m.nest("matmul", [partial, whole, weight], loops, [[(0, 0, 1), (1, 0, 1), (2, 0, 1), None], [(0, 0, 1), (1, 0, 1), None, (2, 0, 1)], [None, None, (0, 0, 1), (1, 0, 1)]],
               section=section, variadic=False, accumulate="false")
        m.reduce_scatter(partial, own, "c", 0, section)
        m.store(y, own, t)
        m.nest("matmul", [gradient, dys, whole], loops, [[None, None, (0, 0, 1), (1, 0, 1)], [(0, 0, 1), (1, 0, 1), (2, 0, 1), None], [(0, 0, 1), (1, 0, 1), None, (2, 0, 1)]],
               section=section, variadic=False, accumulate="true")
    m.store(dw, gradient)
    return m


@case
def linear_layers(tools, rng):
    for rows, cols, batch, micro_batch, seq, k, n in ((1, 1, 4, 2, 3, 5, 4), (2, 2, 4, 2, 3, 8, 6), (2, 2, 5, 2, 3, 7, 5), (2, 3, 7, 3, 2, 9, 8), (3, 2, 4, 4, 1, 6, 6),
                                                      (1, 5, 6, 2, 2, 10, 7), (5, 1, 11, 5, 1, 4, 15), (4, 4, 9, 4, 2, 16, 16), (3, 3, 1, 1, 2, 2, 2), (2, 2, 2, 3, 2, 4, 4)):
        x, w, dy = integers(rng, (batch, seq, k)), integers(rng, (n, k)), integers(rng, (batch, seq, n))
        m = linear(tools, rows, cols, batch, micro_batch, seq, k, n)
        tools.check(m, {"x": x, "w": w, "dy": dy}, {"y": x @ w.T, "dw": np.einsum("bsn,bsk->nk", dy, x)})


# ---- rings ----
def mesh_of(axis, size, other=1):
    return (size, other) if axis == "r" else (other, size)


@case
def all_gathers(tools, rng):
    """Along each factor of a buffer, even and uneven, with fewer units than dies too."""
    for axis in "rc":
        for size in (1, 2, 3, 4, 5):
            for split, shape in ((0, (10, 3)), (1, (2, 20)), (1, (3, 7, 2)), (0, (3,)), (2, (2, 2, 4, 3))):
                inside = [f"{d}@{axis}" if i == split else f"{d}" for i, d in enumerate(shape)]
                m = Module(tools, *mesh_of(axis, size))
                x, y = m.dram("x", "input", f"[{','.join(inside)}]"), m.dram("y", "output", f"[{','.join(map(str, shape))}]")
                part, whole = m.alloc(f"[{','.join(inside)}]"), m.alloc(f"[{','.join(map(str, shape))}]")
                m.load(part, x)
                m.all_gather(whole, part, axis, split)
                m.store(y, whole)
                data = integers(rng, shape)
                tools.check(m, {"x": data}, {"y": data}, seeds=(1,))


@case
def reductions_over_rings(tools, rng):
    """Every die's summand is x times a factor of its own: reduce-scattered and all-reduced, sum and max."""
    for axis in "rc":
        for size in (1, 2, 3, 4, 5):
            for kind in ("sum", "max"):
                shape = (4, int(rng.integers(3, 12)), 2)
                m = Module(tools, *mesh_of(axis, size, 2 if size < 4 else 1))
                text = ",".join(map(str, shape))
                x, f = m.dram("x", "input", f"[{text}]"), m.dram("f", "input", f"[{size}@{axis}]")
                scattered, reduced = m.dram("scattered", "output", f"[4,{shape[1]}@{axis},2]"), m.dram("reduced", "output", f"[{text}]")
                xs, fs, own = m.alloc(f"[{text}]"), m.alloc(f"[{size}@{axis}]"), m.alloc(f"[4,{shape[1]}@{axis},2]")
                first, second = m.alloc(f"[{text}]"), m.alloc(f"[{text}]")
                m.load(xs, x)
                m.load(fs, f)
                for buffer in (first, second):
                    m.nest("map", [buffer, xs, fs], [str(d) for d in shape], [dense(3), dense(3), [None] * 3], fn='"mul"')
                m.reduce_scatter(first, own, axis, 1, kind=kind)
                m.all_reduce(second, axis, kind)
                m.store(scattered, own)
                m.store(reduced, second)
                data, scale = integers(rng, shape), integers(rng, size)
                summands = data[None] * scale[:, None, None, None]
                want = summands.sum(0) if kind == "sum" else summands.max(0)
                tools.check(m, {"x": data, "f": scale}, {"scattered": want, "reduced": want}, seeds=(1,))


MESHES = ((1, 3), (4, 1), (2, 2), (2, 3), (3, 2), (3, 3), (3, 5), (5, 3), (4, 4))


@case
def flat_rings(tools, rng):
    """All dies as one axis: gathered, reduce-scattered along a factor split over rows and then columns, and all-reduced, on the flat ring in
    both directions and through rows and columns at once."""
    for rows, cols in MESHES:
        for units in (rows * cols, rows * cols + 3, 2):
            m = Module(tools, rows, cols)
            whole, split = f"[3,{units},4]", f"[3,{units}@rc,4]"
            x, f, g = m.dram("x", "input", whole), m.dram("f", "input", f"[{rows}@r]"), m.dram("g", "input", f"[{cols}@c]")
            names = {n: m.dram(n, "output", split if n == "scattered" else whole) for n in ("gathered", "scattered", "ring", "torus")}
            xs, fs, gs, part, back, own = m.alloc(whole), m.alloc(f"[{rows}@r]"), m.alloc(f"[{cols}@c]"), m.alloc(split), m.alloc(whole), m.alloc(split)
            m.load(xs, x)
            m.load(fs, f)
            m.load(gs, g)
            m.copy_part(xs, part, "rc", 1, -1, "out")
            m.all_gather(back, part, "rc", 1)
            m.store(names["gathered"], back)
            loops, none = ["3", f"{units}", "4"], [None] * 3
            for name in ("scattered", "ring", "torus"):
                half, summand = m.alloc(whole), m.alloc(whole)
                m.nest("map", [half, xs, fs], loops, [dense(3), dense(3), none], fn='"mul"')
                m.nest("map", [summand, half, gs], loops, [dense(3), dense(3), none], fn='"mul"')
                if name == "scattered":
                    m.reduce_scatter(summand, own, "rc", 1)
                elif name == "ring":
                    m.all_reduce(summand, "rc")
                else:
                    m.torus_all_reduce(summand)
                m.store(names[name], own if name == "scattered" else summand)
            data, by_row, by_col = integers(rng, (3, units, 4)), integers(rng, rows), integers(rng, cols)
            total = data * by_row.sum() * by_col.sum()
            tools.check(m, {"x": data, "f": by_row, "g": by_col}, {"gathered": data, "scattered": total, "ring": total, "torus": total}, seeds=(1,))


@case
def rings_fill_their_links(tools, rng):
    """Collectives over tiles of 64 KiB take at most 1 / 0.95 of what the busiest link needs, and a die receives what the closed forms say."""
    tile = 16384  # f32 elements, 64 KiB
    def run(name, m, parts, received):
        report = tools.work / "report.json"
        tools.must(tools.bin / "hecaton-sim", tools.compile(m), "--mode=timing", "--report", report)
        got = json.loads(report.read_text())
        rows = got["collectives"]
        low, high = sum(r["received_bytes_per_die_min"] for r in rows), sum(r["received_bytes_per_die_max"] for r in rows)
        assert low == high == received * 4, f"{name}: dies receive {low} to {high} bytes, the closed form is {received * 4}"
        ratio = got["time"]["busiest_link_s"] / got["time"]["step_s"]
        assert ratio >= 0.95, f"{name}: {ratio:.3f} of the bound of the busiest link"
    for axis in "rc":
        for size in (4, 5, 8, 16, 32):
            for kind in ("all_gather", "reduce_scatter", "all_reduce"):
                m = Module(tools, *mesh_of(axis, size))
                whole, part = m.alloc(f"[{size * tile}]"), m.alloc(f"[{size * tile}@{axis}]")
                if kind == "all_reduce":
                    m.all_reduce(whole, axis)
                else:
                    m.ring("gather_step" if kind == "all_gather" else "scatter_step", whole, axis, 0, kind, "sum" if kind == "reduce_scatter" else None)
                run(f"{kind} over {size} dies, axis {axis}", m, size, (size - 1) * tile * (2 if kind == "all_reduce" else 1))
    for rows, cols in ((2, 2), (4, 4), (3, 5), (4, 8)):
        dies = rows * cols
        for kind in ("all_gather", "reduce_scatter", "all_reduce", "torus"):
            m = Module(tools, rows, cols)
            whole = m.alloc(f"[{2 * dies * tile}]")
            if kind == "all_reduce":
                m.all_reduce(whole, "rc")
            elif kind == "torus":
                m.torus_all_reduce(whole)
            else:
                m.ring("gather_step" if kind == "all_gather" else "scatter_step", whole, "rc", 0, kind, "sum" if kind == "reduce_scatter" else None)
            run(f"{kind} over {rows}x{cols} dies", m, dies, (dies - 1) * 2 * tile * (2 if kind in ("all_reduce", "torus") else 1))


# ---- views ----
def random_view(rng, sizes, used):
    """A buffer and how the loops in `used`, in any order, walk it: permuted, sliced with steps of either sign, with factors fixed."""
    order = [int(i) for i in rng.permutation(used)]
    shape, walks, fixes, index = [], [None] * len(sizes), {}, {}
    for loop in order:
        if rng.random() < 0.25 and len(shape) < 9:
            fixes[len(shape)] = int(rng.integers(0, 3))
            shape.append(3)
        step = int(rng.choice([1, 1, 1, 2, -1]))
        extent = (sizes[loop] - 1) * abs(step) + 1
        low, high = int(rng.integers(0, 2)), int(rng.integers(0, 2))
        walks[loop] = (len(shape), low + (extent - 1 if step < 0 else 0), step)
        shape.append(low + extent + high)
    return shape or [1], walks, fixes


def read_view(array, shape, sizes, walks, fixes):
    """The operand as an array over all loops."""
    grid = np.indices(sizes)
    index = [np.zeros(sizes, int) for _ in shape]
    for f, i in fixes.items():
        index[f] += i
    for loop, walk in enumerate(walks):
        if walk:
            index[walk[0]] += walk[1] + walk[2] * grid[loop]
    return array.reshape(shape)[tuple(index)], tuple(index)


def nest_module(tools, name, sizes, uses, accumulate, **attributes):
    """uses: loops that walk each operand, destination first. The destination is loaded too: what no loop reaches must stay."""
    m = Module(tools, 1, 1)
    views = [u for u in uses]
    tensors, buffers = [], []
    for k, (shape, _, _) in enumerate(views):
        layout = f"[{'*'.join(map(str, shape))}]"
        tensors.append(m.dram(f"x{k}", "input", layout))
        buffers.append(m.alloc(layout))
        m.load(buffers[k], tensors[k])
    out = m.dram("y", "output", f"[{'*'.join(map(str, views[0][0]))}]")
    extra = {} if accumulate is None else {"accumulate": "true" if accumulate else "false"}
    m.nest(name, buffers, [str(s) for s in sizes], [v[1] for v in views], [v[2] for v in views], variadic=name == "map", **extra, **attributes)
    m.store(out, buffers[0])
    return m


def check_nest(tools, rng, name, sizes, uses, combine, accumulate=None, reduce=None, **attributes):
    views = [random_view(rng, sizes, u) for u in uses]
    data = [integers(rng, int(np.prod(shape))) for shape, _, _ in views]
    operands = [read_view(d, s, sizes, w, f) for d, (s, w, f) in zip(data, views)]
    value = combine(*(o[0] for o in operands[1:]))
    want = data[0].reshape(views[0][0]).copy()
    if reduce:
        unused = tuple(i for i, w in enumerate(views[0][1]) if not w)
        where = tuple(i[tuple(0 if a in unused else slice(None) for a in range(len(sizes)))] for i in operands[0][1])
        value = reduce(value, axis=unused) if unused else value
        want[where] = (reduce(np.stack([want[where], value]), axis=0) if accumulate else value)
    else:
        want[operands[0][1]] = value
    m = nest_module(tools, name, sizes, views, accumulate, **attributes)
    tools.check(m, {f"x{k}": d for k, d in enumerate(data)}, {"y": want.reshape(-1)}, seeds=(1,))


def subset(rng, loops, least=0):
    return [i for i in loops if rng.random() < 0.7][:7] or list(loops[:least])


@case
def maps_of_views(tools, rng):
    for _ in range(40):
        sizes = [int(rng.integers(1, 4)) for _ in range(rng.integers(1, 8))]
        every = list(range(len(sizes)))
        if rng.random() < 0.5:
            check_nest(tools, rng, "map", sizes, [every, subset(rng, every)], lambda a: -a, fn='"neg"')
        else:
            check_nest(tools, rng, "map", sizes, [every, subset(rng, every), subset(rng, every)], lambda a, b: a - b, fn='"sub"')


@case
def reductions_of_views(tools, rng):
    for i in range(40):
        sizes = [int(rng.integers(1, 4)) for _ in range(rng.integers(1, 8))]
        every = list(range(len(sizes)))
        kept = [l for l in every if rng.random() < 0.5]
        kind, reduce = (("sum", np.sum), ("max", np.max), ("min", np.min))[i % 3]
        check_nest(tools, rng, "reduce", sizes, [kept, every], lambda a: a, accumulate=bool(i % 2), reduce=reduce, kind=f'"{kind}"')


@case
def contractions_of_views(tools, rng):
    """Any number of batch, row, column and summed loops; summed over several separate loops too."""
    for i in range(40):
        groups = [int(rng.integers(0, 3)) for _ in range(4)]
        kinds = [g for g, count in enumerate(groups) for _ in range(count)] or [1]
        kinds = [kinds[j] for j in rng.permutation(len(kinds))][:7]
        sizes = [int(rng.integers(1, 4)) for _ in kinds]
        of = lambda *wanted: [l for l, g in enumerate(kinds) if g in wanted]
        check_nest(tools, rng, "matmul", sizes, [of(0, 1, 2), of(0, 1, 3), of(0, 2, 3)], lambda a, b: a * b, accumulate=bool(i % 2), reduce=np.sum)


# ---- row-wise operators ----
@case
def softmax_and_its_gradient(tools, rng):
    for shape in ((4, 3, 8), (5, 1, 7), (1, 2, 1)):
        m = Module(tools, 2, 2)
        layout, loops = f"[{shape[0]}@r,{shape[1]}@c,{shape[2]}]", [f"{shape[0]}@r", f"{shape[1]}@c", str(shape[2])]
        z, g, y, dz = m.dram("z", "input", layout), m.dram("g", "input", layout), m.dram("y", "output", layout), m.dram("dz", "output", layout)
        zs, gs, ys, dzs = (m.alloc(layout) for _ in range(4))
        m.load(zs, z)
        m.load(gs, g)
        m.nest("rows", [ys, zs], loops, [dense(3)] * 2, fn='"softmax"', row_loops="2 : i64")
        m.nest("rows", [dzs, ys, gs], loops, [dense(3)] * 3, fn='"softmax_grad"', row_loops="2 : i64")
        m.store(y, ys)
        m.store(dz, dzs)
        data, up = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)
        want = np.exp(data - data.max(-1, keepdims=True))
        want /= want.sum(-1, keepdims=True)
        tools.check(m, {"z": data, "g": up}, {"y": want, "dz": want * (up - (want * up).sum(-1, keepdims=True))}, 1e-6)


@case
def table_lookups_and_their_gradient(tools, rng):
    """The table is split over an axis: each die adds what it holds, negative ids count from the end."""
    for axis, rows, cols, vocabulary in (("r", 2, 2, 8), ("c", 2, 3, 7), ("r", 3, 1, 2), ("", 1, 2, 5)):
        tokens, features = (4, 3), 6
        at = f"@{axis}" if axis else ""
        other = "" if not axis else "@c" if axis == "r" else "@r"
        m = Module(tools, rows, cols)
        table, ids = m.dram("table", "input", f"[{vocabulary}{at},{features}{other}]"), m.dram("ids", "input", "[4,3]", "i64")
        out, back, up = m.dram("out", "output", f"[4,3,{features}{other}]"), m.dram("back", "output", f"[{vocabulary}{at},{features}{other}]"), m.dram("up", "input", f"[4,3,{features}{other}]")
        ts, ix, rows_, ups, sums = m.alloc(f"[{vocabulary}{at},{features}{other}]"), m.alloc("[4,3]", dtype="i64"), m.alloc(f"[4,3,{features}{other}]"), m.alloc(f"[4,3,{features}{other}]"), m.alloc(f"[{vocabulary}{at},{features}{other}]")
        for buffer, tensor in ((ts, table), (ix, ids), (ups, up)):
            m.load(buffer, tensor)
        loops = ["4", "3", f"{features}{other}"]
        extra = {"row_loops": "2 : i64", "classes": f"{vocabulary} : i64", "table_axes": f'"{axis}"'}
        table_map, token_map, id_map = [None, None, (1, 0, 1)], dense(3), [(0, 0, 1), (1, 0, 1), None]
        m.nest("rows", [rows_, ts, ix], loops, [token_map, table_map, id_map], fn='"gather"', **extra)
        m.op("fill", [sums], {"scalar": "0.0 : f64"}, variadic=False)
        m.nest("rows", [sums, ups, ix], loops, [table_map, token_map, id_map], fn='"scatter"', **extra)
        if axis:
            m.all_reduce(rows_, axis)
        m.store(out, rows_)
        m.store(back, sums)
        data, index, gradient = integers(rng, (vocabulary, features)), rng.integers(-vocabulary, vocabulary, tokens), integers(rng, (*tokens, features))
        want = np.zeros_like(data)
        np.add.at(want, index, gradient)
        tools.check(m, {"table": data, "ids": index, "up": gradient}, {"out": data[index], "back": want})


@case
def picks_and_places(tools, rng):
    """Classes split over an axis; labels out of range give 0 and nothing."""
    for axis, rows, cols, classes in (("c", 2, 2, 8), ("r", 3, 1, 7), ("c", 1, 4, 3), ("", 1, 1, 5)):
        at = f"@{axis}" if axis else ""
        m = Module(tools, rows, cols)
        z, ids, g = m.dram("z", "input", f"[2,3,{classes}{at}]"), m.dram("ids", "input", "[2,3]", "i64"), m.dram("g", "input", "[2,3]")
        picked, placed = m.dram("picked", "output", "[2,3]"), m.dram("placed", "output", f"[2,3,{classes}{at}]")
        zs, ix, gs, ps, out = m.alloc(f"[2,3,{classes}{at}]"), m.alloc("[2,3]", dtype="i64"), m.alloc("[2,3]"), m.alloc("[2,3]"), m.alloc(f"[2,3,{classes}{at}]")
        for buffer, tensor in ((zs, z), (ix, ids), (gs, g)):
            m.load(buffer, tensor)
        loops, tokens = ["2", "3", f"{classes}{at}"], [(0, 0, 1), (1, 0, 1), None]
        extra = {"row_loops": "2 : i64", "classes": f"{classes} : i64", "table_axes": f'"{axis}"'}
        m.nest("rows", [ps, zs, ix], loops, [tokens, dense(3), tokens], fn='"pick"', **extra)
        m.nest("rows", [out, gs, ix], loops, [dense(3), tokens, tokens], fn='"place"', **extra)
        if axis:
            m.all_reduce(ps, axis)
        m.store(picked, ps)
        m.store(placed, out)
        data, up, labels = integers(rng, (2, 3, classes)), integers(rng, (2, 3)), rng.integers(0, classes, (2, 3))
        labels[0, 1], labels[1, 2] = -100, classes
        valid = (labels >= 0) & (labels < classes)
        hot = (np.arange(classes) == labels[..., None]).astype(np.float32)
        tools.check(m, {"z": data, "ids": labels, "g": up}, {"picked": np.where(valid, (data * hot).sum(-1), 0), "placed": hot * up[..., None]})


# ---- over micro-batches ----
@case
def parts_over_time(tools, rng):
    """Each micro-batch's part is put in its place in a buffer of the whole batch, and taken from it again by a second loop."""
    for rows, cols, batch, micro_batch in ((1, 1, 6, 2), (2, 2, 7, 3), (2, 1, 5, 1), (1, 3, 4, 8)):
        m = Module(tools, rows, cols, batch, micro_batch)
        x, y = m.dram("x", "input", f"[{batch}@t,3,4@c]"), m.dram("y", "output", f"[{batch}@t,3,4@c]")
        whole = m.alloc(f"[{batch},3,4@c]")
        for section, t in m.sections():
            part = m.alloc(f"[{batch}@t,3,4@c]", section)
            m.load(part, x, t)
            m.copy_part(whole, part, "t", 0, section, "in", t)
        twice = m.alloc(f"[{batch},3,4@c]")
        m.nest("map", [twice, whole], [str(batch), "3", "4@c"], [dense(3), [(0, batch - 1, -1), (1, 0, 1), (2, 0, 1)]], fn='"neg"')
        for section, t in m.sections():
            part = m.alloc(f"[{batch}@t,3,4@c]", section)
            m.copy_part(twice, part, "t", 0, section, "out", t)
            m.store(y, part, t)
        data = integers(rng, (batch, 3, 4))
        tools.check(m, {"x": data}, {"y": -data[::-1]})


@case
def iterations_that_hand_over(tools, rng):
    """Each micro-batch is loaded, changed by the vector unit, multiplied, stored, and added to a sum and a running maximum kept over the
    loop; a second loop reads what the first has stored. Whatever iterations overlap, none may see another's bytes."""
    for batch, micro_batch in ((8, 1), (8, 2), (9, 2), (3, 2), (2, 2)):
        m = Module(tools, 2, 2, batch, micro_batch)
        x, w, mid, total, top, y = (m.dram("x", "input", f"[{batch}@t,4@r,6]"), m.dram("w", "input", "[6,6]"), m.dram("mid", "spill", f"[{batch}@t,4@r,6]"),
                                    m.dram("total", "output", "[4@r,6]"), m.dram("top", "output", "[4@r,6]"), m.dram("y", "output", f"[{batch}@t,4@r,6]"))
        ws, sums, most = m.alloc("[6,6]"), m.alloc("[4@r,6]"), m.alloc("[4@r,6]")
        m.load(ws, w)
        m.op("fill", [sums], {"scalar": "0.0 : f64"}, variadic=False)
        m.op("fill", [most], {"scalar": "-1.0e9 : f64"}, variadic=False)
        loops, kept = [f"{batch}@t", "4@r", "6"], [None, (0, 0, 1), (1, 0, 1)]
        for section, t in m.sections():
            a, b, c, d = (m.alloc(f"[{batch}@t,4@r,6]", section) for _ in range(4))
            m.load(a, x, t)
            m.nest("map", [b, a], loops, [dense(3)] * 2, section=section, fn='"neg"')
            m.nest("matmul", [c, b, ws], [*loops, "6"], [[*dense(3), None], [(0, 0, 1), (1, 0, 1), None, (2, 0, 1)], [None, None, (1, 0, 1), (0, 0, 1)]], section=section, variadic=False, accumulate="false")
            m.nest("map", [d, c, a], loops, [dense(3)] * 3, section=section, fn='"add"')
            m.store(mid, d, t)
            m.nest("reduce", [sums, d], loops, [kept, dense(3)], section=section, variadic=False, accumulate="true", kind='"sum"')
            m.nest("reduce", [most, c], loops, [kept, dense(3)], section=section, variadic=False, accumulate="true", kind='"max"')
        m.store(total, sums)
        m.store(top, most)
        for section, t in m.sections():
            a, b = m.alloc(f"[{batch}@t,4@r,6]", section), m.alloc(f"[{batch}@t,4@r,6]", section)
            m.load(a, mid, t)
            m.nest("map", [b, a, sums], loops, [dense(3), dense(3), kept], section=section, fn='"sub"')
            m.store(y, b, t)
        data, weight = integers(rng, (batch, 4, 6)), integers(rng, (6, 6))
        c = -data @ weight
        d = c + data
        tools.check(m, {"x": data, "w": weight}, {"total": d.sum(0), "top": c.max(0), "y": d - d.sum(0)}, seeds=range(1, 7))


@case
def aliases(tools, rng):
    """The same bytes under another layout stay alive and ordered."""
    m = Module(tools, 2, 1)
    x, y = m.dram("x", "input", "[4@r,6]"), m.dram("y", "output", "[4@r,3,2]")
    a = m.alloc("[4@r,6]")
    b = m.alias(a, "[4@r,3,2]")
    out = m.alloc("[4@r,3,2]")
    m.load(a, x)
    m.nest("map", [out, b], ["4@r", "3", "2"], [dense(3)] * 2, fn='"neg"')
    m.store(y, out)
    data = integers(rng, (4, 6))
    tools.check(m, {"x": data}, {"y": -data.reshape(4, 3, 2)})


@case
def large_buffers_before_small_ones(tools, rng):
    """SRAM for what is live at once is enough, although placed as they come the large buffer finds holes only; a byte less is not."""
    for sram_bytes, fits in ((2048, True), (2047, False)):
        m = Module(tools, 1, 1, sram_bytes=sram_bytes)
        x, z, y, w = m.dram("x", "input", "[128]"), m.dram("z", "input", "[384]"), m.dram("y", "output", "[128]"), m.dram("w", "output", "[384]")
        a, b, c = m.alloc("[128]"), m.alloc("[128]"), m.alloc("[384]")
        m.load(a, x)
        m.nest("map", [b, a], ["128"], [dense(1)] * 2, fn='"neg"')
        m.load(c, z)
        m.nest("map", [b, b, c], ["128"], [dense(1)] * 3, fn='"add"')
        m.store(w, c)
        m.store(y, b)
        data, large = integers(rng, (128,)), integers(rng, (384,))
        if fits:
            tools.check(m, {"x": data, "z": large}, {"y": large[:128] - data, "w": large})
            continue
        try:
            tools.compile(m)
        except AssertionError as error:
            assert "E0402" in str(error), error
        else:
            raise AssertionError("fits in less than is live at once")


# ---- pieces ----
def piece_of_sum(m, x, y, s, gradient, layout, first, elements, *index):
    """Elements of y at the range = those of x less (the sum of all of y until now) times those of the gradient."""
    whole, total, settings, done = m.alloc(layout), m.alloc("[1]"), m.alloc("[10]"), m.alloc("[]")
    piece = m.piece(layout, first, elements)
    m.load(whole, y)
    m.nest("reduce", [total, whole], ["13@r", "8"], [[None] * 2, dense(2)], variadic=False, kind='"sum"', accumulate="false")
    m.load(settings, s)
    m.op("fill", [done], {"scalar": "0.0 : f64"}, variadic=False)
    m.nest("map", [settings, total], [], [[], []], fn='"mov"')
    m.load(piece, x, *index)
    m.op("update", [piece, gradient, settings, done, *index], {"kind": '"sgd"'})
    m.store(y, piece, *index)


@case
def pieces(tools, rng):
    """Each piece of a tile waits for what the ones before have left in DRAM; uneven tiles, in a loop and behind it; and in another type."""
    for rows, elements, trips in ((1, 20, 5), (2, 16, 3), (2, 7, 6), (3, 12, 2)):
        m, layout = Module(tools, rows, 2), "[13@r,8]"
        x, g, y, low = m.dram("x", "input", layout), m.dram("g", "input", layout), m.dram("y", "output", layout), m.dram("low", "output", layout, "bf16")
        s, scale_alone = m.dram("s", "input", "[10]"), np.eye(10, dtype=np.float32)[9]
        gradient, zero = m.alloc(layout), m.alloc(layout)
        m.load(gradient, g)
        m.op("fill", [zero], {"scalar": "0.0 : f64"}, variadic=False)
        m.store(y, zero)
        with m.loop(trips) as i:
            piece_of_sum(m, x, y, s, gradient, layout, 0, elements, i)
        starts = range(trips * elements, 13 // rows * 8 + 8, elements)
        for first in starts:
            piece_of_sum(m, x, y, s, gradient, layout, first, elements)
        for first in range(0, 13 * 8, 40):
            wide, narrow = m.piece(layout, first, 40), m.piece(layout, first, 40, "bf16")
            m.load(wide, x)
            m.op("cast", [narrow, wide], {}, variadic=False)
            m.store(low, narrow)
        data, factor = integers(rng, (13, 8), -1, 2), integers(rng, (13, 8), -1, 2)
        want = np.zeros((13, 8), np.float32)
        parts = [len(p) for p in np.array_split(np.arange(13), rows)]
        for at, count in zip(np.cumsum([0, *parts]), parts):
            tile, source, by = want[at:at + count].reshape(-1), data[at:at + count].reshape(-1), factor[at:at + count].reshape(-1)
            for first in (*range(0, trips * elements, elements), *starts):
                tile[first:first + elements] = source[first:first + elements] - tile.sum() * by[first:first + elements]
        assert np.abs(want).max() < 2**20
        tools.check(m, {"x": data, "g": factor, "s": scale_alone}, {"y": want, "low": data}, seeds=range(1, 5))


@case
def pieces_read_back(tools, rng):
    """Two halves of a tile are stored by pieces, and read again while pieces of others are on their way."""
    m, layout, elements, trips = Module(tools, 1, 2), "[16,24@c]", 4, 24
    x, y, z, w = m.dram("x", "input", layout), *(m.dram(n, "output", layout) for n in "yzw")
    with m.loop(trips) as i:
        halves = [m.piece(layout, first, elements) for first in (0, elements * trips)]
        for half in halves:
            m.load(half, x, i)
        for half in halves:
            m.store(y, half, i)
        for first in (0, elements * trips):
            again = m.piece(layout, first, elements)
            m.load(again, y, i)
            m.store(z, again, i)
        for half in halves:
            m.store(w, half, i)
    data = integers(rng, (16, 24))
    tools.check(m, {"x": data}, {"y": data, "z": data, "w": data}, seeds=range(1, 7))


def main():
    tools = Tools(sys.argv[1], sys.argv[2])
    for name in sys.argv[3:] or CASES:
        CASES[name](tools, np.random.default_rng(7))
        print(f"ok {name}")


if __name__ == "__main__":
    main()
