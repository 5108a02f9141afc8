"""The compiled keeping of memory: scratch arenas, and the extents of buffers.

`TEXT` is a part of the module that `_team_ir` puts together, `VALUES` what it fills in.
"""

from typing import Final

ARENAS = 16
ARENA_BYTES = 64
ARENA_HEADER_BYTES = 64
# Larger arenas are given back to the system after the call.
ARENA_KEPT_BYTES = 256 << 20
ARENA_ROUNDING_BYTES = 64 << 10

VALUES: Final = {
    "arenas": ARENAS,
    "kept_bytes": ARENA_KEPT_BYTES,
    "rounding_less": ARENA_ROUNDING_BYTES - 1,
    "rounding_mask": -ARENA_ROUNDING_BYTES,
    "header": ARENA_HEADER_BYTES,
    "header_twice": 2 * ARENA_HEADER_BYTES,
    "header_far": 2 * ARENA_HEADER_BYTES - 1,
    "header_mask": -ARENA_HEADER_BYTES,
}

TEXT: Final = """\
; ---- scratch memory ------------------------------------------------------------

; At least %bytes, aligned to 64 and kept between calls; null if there is no memory.
; Before it lies a header: block, arena (or -1), generation.
define dso_local ptr @rot180_arena_take(i64 %bytes) nounwind {
entry:
  %born = load i64, ptr $config_generation
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %continue ]
  %more = icmp slt i64 %i, $arenas
  br i1 %more, label %claim, label %extra
claim:
  %busy = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 0
  %swap = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue { i64, i1 } %swap, 1
  br i1 %free, label %mine, label %continue
continue:
  %next = add i64 %i, 1
  br label %loop
mine:
  %size_cell = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 1
  %block_cell = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 2
  %size = load i64, ptr %size_cell
  %block = load ptr, ptr %block_cell
  %enough = icmp sge i64 %size, %bytes
  br i1 %enough, label %use, label %grow
grow:
  call void @PyMem_RawFree(ptr %block)
  %up = add i64 %bytes, $rounding_less
  %round = and i64 %up, $rounding_mask
  %need = add i64 %round, $header_twice
  %bigger = call ptr @PyMem_RawMalloc(i64 %need)
  store ptr %bigger, ptr %block_cell
  %none = icmp eq ptr %bigger, null
  %kept = select i1 %none, i64 0, i64 %round
  store i64 %kept, ptr %size_cell
  br i1 %none, label %fail, label %use
fail:
  store atomic i64 0, ptr %busy release, align 8
  ret ptr null
use:
  %raw = phi ptr [ %block, %mine ], [ %bigger, %grow ]
  br label %dress
extra:
  %sum = add i64 %bytes, $header_twice
  %once = call ptr @PyMem_RawMalloc(i64 %sum)
  %empty = icmp eq ptr %once, null
  br i1 %empty, label %lack, label %dress
lack:
  ret ptr null
dress:
  %memory = phi ptr [ %raw, %use ], [ %once, %extra ]
  %which = phi i64 [ %i, %use ], [ -1, %extra ]
  %address = ptrtoint ptr %memory to i64
  %far = add i64 %address, $header_far
  %aligned = and i64 %far, $header_mask
  %data = inttoptr i64 %aligned to ptr
  %head = getelementptr i8, ptr %data, i64 -$header
  store ptr %memory, ptr %head
  %arena_cell = getelementptr i8, ptr %head, i64 8
  store i64 %which, ptr %arena_cell
  %born_cell = getelementptr i8, ptr %head, i64 16
  store i64 %born, ptr %born_cell
  ret ptr %data
}

; Give back what rot180_arena_take returned.
define dso_local void @rot180_arena_give(ptr %data) nounwind {
entry:
  %head = getelementptr i8, ptr %data, i64 -$header
  %memory = load ptr, ptr %head
  %arena_cell = getelementptr i8, ptr %head, i64 8
  %which = load i64, ptr %arena_cell
  %born_cell = getelementptr i8, ptr %head, i64 16
  %born = load i64, ptr %born_cell
  %current = load i64, ptr $config_generation
  %ours = icmp sge i64 %which, 0
  %same = icmp eq i64 %born, %current
  %kept = and i1 %ours, %same
  br i1 %kept, label %look, label %release
release:
  call void @PyMem_RawFree(ptr %memory)
  ret void
look:
  %busy = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 0
  %size_cell = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 1
  %block_cell = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 2
  %size = load i64, ptr %size_cell
  %large = icmp sgt i64 %size, $kept_bytes
  br i1 %large, label %drop, label %done
drop:
  call void @PyMem_RawFree(ptr %memory)
  store i64 0, ptr %size_cell
  store ptr null, ptr %block_cell
  br label %done
done:
  store atomic i64 0, ptr %busy release, align 8
  ret void
}

; ---- buffers -------------------------------------------------------------------

; Bytes a Py_buffer spans upwards from its first element; -1 if it also goes downwards.
define dso_local i64 @rot180_view_extent(ptr %view) nounwind {
entry:
  %length_cell = getelementptr i8, ptr %view, i64 16
  %length = load i64, ptr %length_cell
  %shape_cell = getelementptr i8, ptr %view, i64 48
  %shape = load ptr, ptr %shape_cell
  %strides_cell = getelementptr i8, ptr %view, i64 56
  %strides = load ptr, ptr %strides_cell
  %item_cell = getelementptr i8, ptr %view, i64 24
  %item = load i64, ptr %item_cell
  %rank_cell = getelementptr i8, ptr %view, i64 36
  %rank32 = load i32, ptr %rank_cell
  %rank = zext i32 %rank32 to i64
  %empty = icmp eq i64 %length, 0
  %shapeless = icmp eq ptr %shape, null
  %strideless = icmp eq ptr %strides, null
  %flat0 = or i1 %empty, %shapeless
  %flat = or i1 %flat0, %strideless
  br i1 %flat, label %plain, label %loop
plain:
  ret i64 %length
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %add ]
  %span = phi i64 [ %item, %entry ], [ %wider, %add ]
  %more = icmp slt i64 %i, %rank
  br i1 %more, label %axis, label %done
axis:
  %extent_cell = getelementptr i64, ptr %shape, i64 %i
  %extent = load i64, ptr %extent_cell
  %stride_cell = getelementptr i64, ptr %strides, i64 %i
  %stride = load i64, ptr %stride_cell
  %steps = sub i64 %extent, 1
  %reach = mul i64 %steps, %stride
  %down = icmp slt i64 %reach, 0
  br i1 %down, label %backwards, label %add
add:
  %wider = add i64 %span, %reach
  %next = add i64 %i, 1
  br label %loop
done:
  ret i64 %span
backwards:
  ret i64 -1
}

; Release the first %count of an array of Py_buffer.
define dso_local void @rot180_views_release(ptr %views, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %view = getelementptr [80 x i8], ptr %views, i64 %i
  call void @PyBuffer_Release(ptr %view)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

"""
