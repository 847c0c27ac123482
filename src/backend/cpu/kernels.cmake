# pagoda_kernel_files(OPTIMIZATION): flags of the kernel files, one an instruction set. Those of
# another architecture are not compiled.
function(pagoda_kernel_files optimization)
  set(known scalar avx2 avx512 neon neon_dotprod)
  set(compiled scalar)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(APPEND compiled avx2 avx512)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    list(APPEND compiled neon neon_dotprod)
  endif()
  set(flags_avx2 "-mavx2 -mfma -mf16c")
  set(flags_avx512
      "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mavx512vnni -mamx-tile -mamx-int8 -mamx-bf16 -mfma -mf16c -mprefer-vector-width=512")
  set(flags_neon "")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 moves all of a tile's loads to its beginning and runs out of registers.
    set(flags_neon "-fno-schedule-insns")
  endif()
  set(flags_neon_dotprod "${flags_neon} -march=armv8.2-a+dotprod")
  foreach(isa IN LISTS known)
    set(file ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/kernels_${isa}.cc)
    if(isa IN_LIST compiled)
      set_source_files_properties(${file} PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                                  COMPILE_FLAGS "${optimization} ${flags_${isa}}")
    else()
      set_source_files_properties(${file} PROPERTIES HEADER_FILE_ONLY ON)
    endif()
  endforeach()
endfunction()
