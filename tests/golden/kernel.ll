define void @conv_y_0(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) #0 {
entry:
  %v1 = getelementptr ptr, ptr %pointers, i64 0
  %v2 = load ptr, ptr %v1
  %v3 = getelementptr ptr, ptr %pointers, i64 1
  %v4 = load ptr, ptr %v3
  %v5 = getelementptr ptr, ptr %pointers, i64 2
  %v6 = load ptr, ptr %v5
  %v7 = getelementptr ptr, ptr %pointers, i64 3
  %v8 = load ptr, ptr %v7
  %v11 = icmp slt i64 %begin, %end
  br i1 %v11, label %b9, label %b10
b9:
  %i12 = phi i64 [ %begin, %entry ], [ %i13, %b9 ]
  %v14 = urem i64 %i12, 2
  %v15 = udiv i64 %i12, 2
  %v16 = urem i64 %v15, 1
  %v17 = mul nsw i64 %v16, 4
  %v18 = mul nsw i64 %v14, 4
  %v19 = add nsw i64 %v18, %v17
  %v20 = getelementptr float, ptr %v6, i64 %v19
  %v21 = load <4 x float>, ptr %v20, align 1
  %v22 = mul nsw i64 %v16, 8
  %v23 = add nsw i64 %v18, %v22
  %v24 = getelementptr float, ptr %v8, i64 %v23
  store <4 x float> %v21, ptr %v24, align 1
  %i13 = add nsw i64 %i12, 1
  %v25 = icmp slt i64 %i13, %end
  br i1 %v25, label %b9, label %b10
b10:
  ret void
}

define void @conv_y_1(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) #0 {
entry:
  %r56 = alloca <4 x float>
  %r57 = alloca <4 x float>
  %v1 = getelementptr ptr, ptr %pointers, i64 0
  %v2 = load ptr, ptr %v1
  %v3 = getelementptr ptr, ptr %pointers, i64 1
  %v4 = load ptr, ptr %v3
  %v5 = getelementptr ptr, ptr %pointers, i64 2
  %v6 = load ptr, ptr %v5
  %v7 = getelementptr ptr, ptr %pointers, i64 3
  %v8 = load ptr, ptr %v7
  %v11 = icmp slt i64 %begin, %end
  br i1 %v11, label %b9, label %b10
b9:
  %i12 = phi i64 [ %begin, %entry ], [ %i13, %b53 ]
  %v14 = urem i64 %i12, 1
  %v15 = getelementptr i8, ptr %scratch, i64 0
  %v16 = mul nsw i64 %i12, -1
  %v17 = add nsw i64 %v16, %n
  %v18 = icmp slt i64 %v17, 1
  %v19 = select i1 %v18, i64 %v17, i64 1
  %v22 = icmp slt i64 0, %v19
  br i1 %v22, label %b20, label %b21
b20:
  %i23 = phi i64 [ 0, %b9 ], [ %i24, %b26 ]
  br label %b25
b25:
  %i27 = phi i64 [ 0, %b20 ], [ %i28, %b32 ]
  %v29 = icmp slt i64 1, 1
  %v30 = select i1 %v29, i64 1, i64 1
  %v33 = icmp slt i64 0, %v30
  br i1 %v33, label %b31, label %b32
b31:
  %i34 = phi i64 [ 0, %b25 ], [ %i35, %b31 ]
  %v36 = mul nsw i64 %v14, 4
  %v37 = mul nsw i64 %i23, 5
  %v38 = mul nsw i64 %i12, 5
  %v39 = add nsw i64 %v38, %v37
  %v40 = add nsw i64 %v39, %i27
  %v41 = add nsw i64 %v40, %i34
  %v42 = add nsw i64 %v41, %v36
  %v43 = getelementptr float, ptr %v4, i64 %v42
  %v44 = load float, ptr %v43, align 1
  %v45 = mul nsw i64 %i23, 5
  %v46 = add nsw i64 %v45, %i27
  %v47 = add nsw i64 %v46, %i34
  %v48 = getelementptr float, ptr %v15, i64 %v47
  store float %v44, ptr %v48, align 1
  %i35 = add nsw i64 %i34, 1
  %v49 = icmp slt i64 %i35, %v30
  br i1 %v49, label %b31, label %b32
b32:
  %i28 = add nsw i64 %i27, 1
  %v50 = icmp slt i64 %i28, 5
  br i1 %v50, label %b25, label %b26
b26:
  %i24 = add nsw i64 %i23, 1
  %v51 = icmp slt i64 %i24, %v19
  br i1 %v51, label %b20, label %b21
b21:
  br label %b52
b52:
  %i54 = phi i64 [ 0, %b21 ], [ %i55, %b59 ]
  store <4 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, ptr %r56
  store <4 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, ptr %r57
  br label %b58
b58:
  %i60 = phi i64 [ 0, %b52 ], [ %i61, %b58 ]
  %v62 = mul nsw i64 %i54, 2
  %v63 = add nsw i64 %v62, %i60
  %v64 = getelementptr float, ptr %v15, i64 %v63
  %v65 = load float, ptr %v64, align 1
  %v66 = mul nsw i64 %i60, 4
  %v67 = getelementptr float, ptr %v8, i64 %v66
  %v68 = load <4 x float>, ptr %v67, align 1
  %v69 = insertelement <4 x float> poison, float %v65, i32 0
  %v70 = shufflevector <4 x float> %v69, <4 x float> poison, <4 x i32> zeroinitializer
  %v71 = fmul <4 x float> %v70, %v68
  %v72 = load <4 x float>, ptr %r56
  %v73 = fadd <4 x float> %v71, %v72
  store <4 x float> %v73, ptr %r56
  %v74 = getelementptr i8, ptr %v64, i64 4
  %v75 = load float, ptr %v74, align 1
  %v76 = insertelement <4 x float> poison, float %v75, i32 0
  %v77 = shufflevector <4 x float> %v76, <4 x float> poison, <4 x i32> zeroinitializer
  %v78 = fmul <4 x float> %v77, %v68
  %v79 = load <4 x float>, ptr %r57
  %v80 = fadd <4 x float> %v78, %v79
  store <4 x float> %v80, ptr %r57
  %i61 = add nsw i64 %i60, 1
  %v81 = icmp slt i64 %i61, 2
  br i1 %v81, label %b58, label %b59
b59:
  %v82 = load <4 x float>, ptr %r56
  %v83 = mul nsw i64 %v14, 16
  %v84 = mul nsw i64 %i54, 8
  %v85 = mul nsw i64 %i12, 16
  %v86 = add nsw i64 %v85, %v84
  %v87 = add nsw i64 %v86, %v83
  %v88 = getelementptr float, ptr %v2, i64 %v87
  store <4 x float> %v82, ptr %v88, align 1
  %v89 = load <4 x float>, ptr %r57
  %v90 = getelementptr i8, ptr %v88, i64 16
  store <4 x float> %v89, ptr %v90, align 1
  %i55 = add nsw i64 %i54, 1
  %v91 = icmp slt i64 %i55, 2
  br i1 %v91, label %b52, label %b53
b53:
  %i13 = add nsw i64 %i12, 1
  %v92 = icmp slt i64 %i13, %end
  br i1 %v92, label %b9, label %b10
b10:
  ret void
}
attributes #0 = { nounwind "prefer-vector-width"="512" }
