#include "runtime/element_type.h"

namespace litedelegates {
namespace {

constexpr ElementType kTypes[] = {
    {0, 1, "float32", 32},      {1, 10, "float16", 16},
    {2, 2, "int32", 32},        {3, 3, "uint8", 8},
    {4, 4, "int64", 64},        {5, 5, "string", 0},
    {6, 6, "bool", 8},          {7, 7, "int16", 16},
    {8, 8, "complex64", 64},    {9, 9, "int8", 8},
    {10, 11, "float64", 64},    {11, 12, "complex128", 128},
    {12, 13, "uint64", 64},     {13, 14, "resource", 0},
    {14, 15, "variant", 0},     {15, 16, "uint32", 32},
    {16, 17, "uint16", 16},     {17, 18, "int4", 4},
    {18, 19, "bfloat16", 16},   {19, 20, "int2", 2},
    {20, 21, "uint4", 4},       {21, 22, "float8_e4m3fn", 8},
    {22, 23, "float8_e5m2", 8},
};
constexpr ElementType kUnknown = {-1, 0, "unknown", 0};

}  // namespace

const ElementType& element_type(int32_t schema) {
  for (const ElementType& type : kTypes) {
    if (type.schema == schema) return type;
  }
  return kUnknown;
}

size_t packed_bytes(const ElementType& type, size_t count) {
  return (count * static_cast<size_t>(type.bits) + 7) / 8;
}

}  // namespace litedelegates
