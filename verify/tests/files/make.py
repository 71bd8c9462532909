"""The small files of test_tensors.c, as the usual Python packages write them.

    pip install numpy h5py safetensors ml_dtypes; python make.py

Element i of every tensor is i * 7 % 23 - 11, without its sign where the type has none,
not 0 for a bool; the first two of float32 `w` are NaN and -inf."""
import h5py
import ml_dtypes
import numpy
import safetensors.numpy


def tensor(dtype, *shape):
    x = numpy.arange(int(numpy.prod(shape))) * 7 % 23 - 11
    if dtype == "bool":
        return (x != 0).reshape(shape)
    return (numpy.abs(x) if numpy.dtype(dtype).kind == "u" else x).astype(dtype).reshape(shape)


kinds = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()
tensors = {f"kind/{k}": tensor(k, 2, 3, 4) for k in kinds}
tensors |= {"scalar": tensor("float32"), "empty": tensor("float32", 0, 3),
            "levels.0.w": tensor("float32", 5, 7)}
tensors["levels.0.w"].flat[:2] = numpy.nan, -numpy.inf
numpy_only = {"big": tensor(">f4", 3, 5), "columns": numpy.asfortranarray(tensor("f8", 3, 4, 5)),
              "kind/bfloat16": tensor(ml_dtypes.bfloat16, 2, 3, 4)}

numpy.savez("stored.npz", **tensors, **numpy_only)
numpy.savez_compressed("deflated.npz", **tensors, **numpy_only)
numpy.save("columns.npy", numpy_only["columns"])
numpy.lib.format.write_array(open("version3.npy", "wb"), tensor("f4", 3, 5), version=(3, 0))
safetensors.numpy.save_file(tensors | {"kind/bfloat16": numpy_only["kind/bfloat16"]},
                            "tensors.safetensors", metadata={"format": "np"})
with h5py.File("tensors.h5", "w", libver=("earliest", "v108")) as f:
    for name, x in (tensors | {"big": numpy_only["big"]}).items():
        f[name] = x
    f.create_dataset("chunked", data=tensor("float32", 40, 50), chunks=(7, 9), compression="gzip",
                     shuffle=True)
