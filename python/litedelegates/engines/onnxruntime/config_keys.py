"""The keys that ONNX Runtime reads from a session's config entries; of any other it says nothing.

They are those of ``onnxruntime_session_options_config_keys.h``, the engine's header, and those that the library of
release 1.32 holds beside them. An older release passes over what it does not know yet. Left out are keys of training,
of the ORT format, of mixtures of experts, and those by which this package asks for an optimized model; the options of
a provider go with the provider.
"""

from __future__ import annotations

CONFIG_KEYS = frozenset(
    f"{area}.{key}"
    for area, keys in {
        "session": """
            allow_released_opsets_only collect_node_memory_stats_to_file debug_layout_transformation
            disable_aot_function_inlining disable_cpu_ep_fallback disable_double_qdq_remover disable_model_compile
            disable_prepacking disable_qdq_constant_folding disable_quant_qdq dynamic_block_base
            enable_dq_matmulnbits_fusion enable_quant_qdq_cleanup fail_on_suboptimal_compiled_model force_spinning_stop
            gqa_value_layout graph_optimizations_loop_level inter_op.allow_spinning inter_op.spin_backoff_max
            inter_op.spin_duration_us intra_op.allow_spinning intra_op.spin_backoff_max intra_op.spin_duration_us
            intra_op_thread_affinities kernel_dispatch_policy layer_assignment_settings max_shape_override
            model_external_initializers_file_folder_path name_based_layer_assignment node_partition_config_file
            prepack.enable_parallel qdq_matmulnbits_accuracy_level qdq_matmulnbits_block_size qdqisint8allowed
            record_ep_graph_assignment_info resource_cuda_partitioning_settings set_denormal_as_zero
            strict_shape_type_inference strict_workspace_verification use_device_allocator_for_initializers
            use_env_allocators x64quantprecision
        """,
        "optimization": """
            constant_folding_max_output_size_in_bytes disable_specified_optimizers enable_cast_chain_elimination
            enable_gelu_approximation minimal_build_optimizations
        """,
        "mlas": """
            disable_kleidiai enable_gemm_fastmath_arm64_bfloat16 kleidiai.conv_igemm_max_work nchwc_depthwise_sliding
            nchwc_pointwise_conv_max_input_channel_batch qnbit.force_fp32 use_lut_gemm
        """,
        "ep": """
            context_embed_mode context_enable context_file_path context_model_external_initializers_file_name
            context_node_name_prefix context_source_model_path cuda.fpa_intb_gemm
            cuda.gqa_workspace_max_total_sequence_length cuda.matmul_nbits_m_chunk_size nnapi.partitioning_stop_ops
            share_ep_contexts
        """,
    }.items()
    for key in keys.split()
)
