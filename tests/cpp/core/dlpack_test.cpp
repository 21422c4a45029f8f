#include <dlpack/dlpack.h>

#include <gtest/gtest.h>

#include <portfire/error.h>
#include <portfire/tensor.h>

namespace portfire {
namespace {

struct Foreign {
  float values[6] = {0, 1, 2, 3, 4, 5};
  std::int64_t shape[2] = {3, 2};
  std::int64_t strides[2] = {1, 3};  // a transposed view
  int deleted = 0;
  DLManagedTensor managed{};

  Foreign() {
    managed.dl_tensor = {values, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->deleted; };
  }
};

TEST(DLPack, ImportSharesMemoryAndReleasesOnce) {
  Foreign foreign;
  {
    const Tensor tensor = Tensor::from_dlpack(&foreign.managed);
    const Tensor copy = tensor;
    EXPECT_EQ(tensor.data(), foreign.values);
    EXPECT_EQ(tensor.shape(), (Dims{3, 2}));
    EXPECT_EQ(tensor.strides(), (Dims{1, 3}));
    EXPECT_EQ(tensor.contiguous(), Tensor::copy_of<float>({0, 3, 1, 4, 2, 5}, {3, 2}));
    EXPECT_EQ(foreign.deleted, 0);
  }
  EXPECT_EQ(foreign.deleted, 1);
}

TEST(DLPack, ByteOffsetMovesTheFirstElement) {
  Foreign foreign;
  foreign.managed.dl_tensor.byte_offset = 4;
  EXPECT_EQ(Tensor::from_dlpack(&foreign.managed).data(), foreign.values + 1);
}

TEST(DLPack, ImportWithoutStridesIsContiguous) {
  Foreign foreign;
  foreign.managed.dl_tensor.strides = nullptr;
  EXPECT_EQ(Tensor::from_dlpack(&foreign.managed).strides(), (Dims{2, 1}));
}

TEST(DLPack, ARefusedImportIsReleasedToo) {
  Foreign lanes;
  lanes.managed.dl_tensor.dtype.lanes = 4;
  EXPECT_THROW((void)Tensor::from_dlpack(&lanes.managed), Error);
  EXPECT_EQ(lanes.deleted, 1);
  Foreign device;
  device.managed.dl_tensor.device.device_type = kDLVulkan;
  EXPECT_THROW((void)Tensor::from_dlpack(&device.managed), Error);
  EXPECT_EQ(device.deleted, 1);
}

TEST(DLPack, EveryDTypeGoesThereAndBack) {
  for (int k = 0; k <= static_cast<int>(DType::kFloat64); ++k) {
    const Tensor tensor = Tensor::zeros(static_cast<DType>(k), {2, 3});
    const Tensor back = Tensor::from_dlpack(tensor.to_dlpack());
    EXPECT_EQ(back.dtype(), tensor.dtype());
    EXPECT_EQ(back.data(), tensor.data());
  }
}

TEST(DLPack, AnExportOutlivesItsTensor) {
  DLManagedTensor* exported = nullptr;
  {
    const Tensor tensor = Tensor::copy_of<std::int64_t>({7, 8}, {2});
    exported = tensor.to_dlpack();
  }
  EXPECT_EQ(static_cast<std::int64_t*>(exported->dl_tensor.data)[1], 8);
  exported->deleter(exported);
}

}  // namespace
}  // namespace portfire
