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
  %r46 = alloca <4 x float>
  %r47 = alloca <4 x float>
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
  %i12 = phi i64 [ %begin, %entry ], [ %i13, %b43 ]
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
  %i27 = phi i64 [ 0, %b20 ], [ %i28, %b25 ]
  %v29 = mul nsw i64 %v14, 4
  %v30 = mul nsw i64 %i23, 5
  %v31 = mul nsw i64 %i12, 5
  %v32 = add nsw i64 %v31, %v30
  %v33 = add nsw i64 %v32, %i27
  %v34 = add nsw i64 %v33, %v29
  %v35 = getelementptr float, ptr %v4, i64 %v34
  %v36 = load float, ptr %v35, align 1
  %v37 = mul nsw i64 %i23, 5
  %v38 = add nsw i64 %v37, %i27
  %v39 = getelementptr float, ptr %v15, i64 %v38
  store float %v36, ptr %v39, align 1
  %i28 = add nsw i64 %i27, 1
  %v40 = icmp slt i64 %i28, 5
  br i1 %v40, label %b25, label %b26
b26:
  %i24 = add nsw i64 %i23, 1
  %v41 = icmp slt i64 %i24, %v19
  br i1 %v41, label %b20, label %b21
b21:
  br label %b42
b42:
  %i44 = phi i64 [ 0, %b21 ], [ %i45, %b49 ]
  store <4 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, ptr %r46
  store <4 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, ptr %r47
  br label %b48
b48:
  %i50 = phi i64 [ 0, %b42 ], [ %i51, %b48 ]
  %v52 = mul nsw i64 %i44, 2
  %v53 = add nsw i64 %v52, %i50
  %v54 = getelementptr float, ptr %v15, i64 %v53
  %v55 = load float, ptr %v54, align 1
  %v56 = mul nsw i64 %i50, 4
  %v57 = getelementptr float, ptr %v8, i64 %v56
  %v58 = load <4 x float>, ptr %v57, align 1
  %v59 = insertelement <4 x float> poison, float %v55, i32 0
  %v60 = shufflevector <4 x float> %v59, <4 x float> poison, <4 x i32> zeroinitializer
  %v61 = fmul <4 x float> %v60, %v58
  %v62 = load <4 x float>, ptr %r46
  %v63 = fadd <4 x float> %v61, %v62
  store <4 x float> %v63, ptr %r46
  %v64 = getelementptr i8, ptr %v54, i64 4
  %v65 = load float, ptr %v64, align 1
  %v66 = insertelement <4 x float> poison, float %v65, i32 0
  %v67 = shufflevector <4 x float> %v66, <4 x float> poison, <4 x i32> zeroinitializer
  %v68 = fmul <4 x float> %v67, %v58
  %v69 = load <4 x float>, ptr %r47
  %v70 = fadd <4 x float> %v68, %v69
  store <4 x float> %v70, ptr %r47
  %i51 = add nsw i64 %i50, 1
  %v71 = icmp slt i64 %i51, 2
  br i1 %v71, label %b48, label %b49
b49:
  %v72 = load <4 x float>, ptr %r46
  %v73 = mul nsw i64 %v14, 16
  %v74 = mul nsw i64 %i44, 8
  %v75 = mul nsw i64 %i12, 16
  %v76 = add nsw i64 %v75, %v74
  %v77 = add nsw i64 %v76, %v73
  %v78 = getelementptr float, ptr %v2, i64 %v77
  store <4 x float> %v72, ptr %v78, align 1
  %v79 = load <4 x float>, ptr %r47
  %v80 = getelementptr i8, ptr %v78, i64 16
  store <4 x float> %v79, ptr %v80, align 1
  %i45 = add nsw i64 %i44, 1
  %v81 = icmp slt i64 %i45, 2
  br i1 %v81, label %b42, label %b43
b43:
  %i13 = add nsw i64 %i12, 1
  %v82 = icmp slt i64 %i13, %end
  br i1 %v82, label %b9, label %b10
b10:
  ret void
}
attributes #0 = { nounwind "prefer-vector-width"="512" }
