// SPDX-License-Identifier: Apache-2.0
// Nothing: CMake wants a source file for the precompiled header that all tests share.
